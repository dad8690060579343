"""What a plan tells of a job's container, services, environment, permissions and defaults."""

from terraphim_runner.planning import outline

TEXT = """
on: push
permissions: {contents: read}
defaults: {run: {shell: bash, working-directory: src}}
jobs:
  a:
    strategy: {matrix: {n: [12, 13]}}
    runs-on: x
    defaults: {run: {shell: sh}}
    environment: {name: "stage-${{ matrix.n }}", url: "https://${{ steps.x.outputs.host }}"}
    container:
      image: debian:${{ matrix.n }}
      credentials: {username: me, password: "${{ secrets.P }}"}
      env: {A: "${{ vars.V }}"}
      ports: [80]
      options: --cpus 1
    services:
      db: {image: "postgres:${{ fromJSON('x') }}", command: -c x}
    steps: [{run: "true"}]
  b:
    runs-on: x
    permissions: {}
    environment: prod
    container: ${{ fromJSON('{"image":"alpine"}') }}
    steps: [{run: "true"}]
"""


def test_plan_tells_the_sections_of_each_leg_as_far_as_they_are_known(workflow):
    contexts = {"github": {}, "vars": {"V": "v"}, "inputs": {}}
    a, b = outline(workflow(TEXT), "push", contexts).to_json()["jobs"]
    first, second = a["legs"]
    assert first["environment"] == {"name": "stage-12", "url": "https://${{ steps.x.outputs.host }}"}
    assert first["permissions"] == {"contents": "read"}
    assert first["defaults"] == {"run": {"shell": "sh", "working-directory": "src"}}
    assert first["container"] == {
        "image": "debian:12",
        "credentials": {"username": "me", "password": "${{ secrets.P }}"},
        "env": {"A": "v"},
        "ports": ["80"],
        "options": "--cpus 1",
    }
    assert first["services"]["db"] == {"image": "postgres:${{ fromJSON('x') }}", "command": "-c x"}
    assert second["container"]["image"] == "debian:13"
    assert b["legs"][0]["container"] == {"image": "alpine"}
    assert b["legs"][0]["permissions"] == {}
    assert b["legs"][0]["environment"] == {"name": "prod"}
    assert "services" not in b["legs"][0]
