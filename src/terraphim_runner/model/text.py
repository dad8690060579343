"""A stranger's text on its way to somebody's terminal, log or picture."""


def printable(text: str, *, instead: str = "?", keep: str = "") -> str:
    """Return the text with ``instead`` for every character that cannot be shown, those of ``keep`` excepted.

    Control characters, escape sequences' beginnings, line breaks and marks that turn the direction of text are among
    them: what is left cannot steer a terminal or begin a line of its own.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else instead for char in text)
