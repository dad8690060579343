def describe(name: str) -> str:
    return f"a recipe for {name}"
