"""``branding``: the badge of an action in GitHub's marketplace. No run depends on it, so nothing here is an error."""

from typing import Final

from terraphim_runner.workflow import nodes
from terraphim_runner.workflow.fields import guess_for, listed
from terraphim_runner.workflow.findings import Findings, shown
from terraphim_runner.workflow.metadata.prose import prose, refuse_expressions
from terraphim_runner.workflow.metadata.tree import Branding
from terraphim_runner.workflow.nodes import Node

COLORS: Final = frozenset(("white", "yellow", "blue", "green", "orange", "red", "purple", "gray-dark"))
_FEATHER: Final = """
activity airplay alert-circle alert-octagon alert-triangle align-center align-justify align-left align-right
anchor aperture archive arrow-down-circle arrow-down-left arrow-down-right arrow-down arrow-left-circle
arrow-left arrow-right-circle arrow-right arrow-up-circle arrow-up-left arrow-up-right arrow-up at-sign award
bar-chart-2 bar-chart battery-charging battery bell-off bell bluetooth bold book-open book bookmark box
briefcase calendar camera-off camera cast check-circle check-square check chevron-down chevron-left
chevron-right chevron-up chevrons-down chevrons-left chevrons-right chevrons-up circle clipboard clock
cloud-drizzle cloud-lightning cloud-off cloud-rain cloud-snow cloud code command compass copy corner-down-left
corner-down-right corner-left-down corner-left-up corner-right-down corner-right-up corner-up-left
corner-up-right cpu credit-card crop crosshair database delete disc dollar-sign download-cloud download droplet
edit-2 edit-3 edit external-link eye-off eye fast-forward feather file-minus file-plus file-text file film
filter flag folder-minus folder-plus folder gift git-branch git-commit git-merge git-pull-request globe grid
hard-drive hash headphones heart help-circle home image inbox info italic layers layout life-buoy link-2 link
list loader lock log-in log-out mail map-pin map maximize-2 maximize menu message-circle message-square mic-off
mic minimize-2 minimize minus-circle minus-square minus monitor moon more-horizontal more-vertical move music
navigation-2 navigation octagon package paperclip pause-circle pause percent phone-call phone-forwarded
phone-incoming phone-missed phone-off phone-outgoing phone pie-chart play-circle play plus-circle plus-square
plus pocket power printer radio refresh-ccw refresh-cw repeat rewind rotate-ccw rotate-cw rss save scissors
search send server settings share-2 share shield-off shield shopping-bag shopping-cart shuffle sidebar skip-back
skip-forward slash sliders smartphone speaker square star stop-circle sun sunrise sunset tablet tag target
terminal thermometer thumbs-down thumbs-up toggle-left toggle-right trash-2 trash trending-down trending-up
triangle truck tv type umbrella underline unlock upload-cloud upload user-check user-minus user-plus user-x user
users video-off video voicemail volume-1 volume-2 volume-x volume watch wifi-off wifi wind x-circle x-square x
zap-off zap zoom-in zoom-out
"""
ICONS: Final = frozenset(_FEATHER.split())
"""The Feather icons that the marketplace knows."""

_CHOICES: Final = {"icon": ICONS, "color": COLORS}


def parse_branding(findings: Findings, node: Node) -> Branding | None:
    """Return the badge as far as it is legal; warnings tell the rest."""
    if not isinstance(node, nodes.Mapping):
        if refuse_expressions(findings, node, "'branding'"):
            findings.warning(node, "type", f"found {nodes.kind(node)}, expected 'branding' as a mapping")
        return None
    found: dict[str, str | None] = {}
    for key, entry in node.entries.items():
        if key in _CHOICES:
            found[key] = _choice(findings, entry.value, key)
        elif refuse_expressions(findings, entry.value, "'branding'") and refuse_expressions(
            findings, entry.key, "'branding'"
        ):
            message = f"found the key {shown(key)} in 'branding', expected one of {listed(_CHOICES)}"
            findings.warning(entry.key, "unknown-key", message + guess_for(findings, key, _CHOICES))
    return Branding(icon=found.get("icon"), color=found.get("color"))


def _choice(findings: Findings, node: Node, key: str) -> str | None:
    value = prose(findings, node, f"'{key}' of 'branding'", is_ignored=True)
    if value is None or value in _CHOICES[key]:
        return value
    known = f"one of {listed(sorted(COLORS))}" if key == "color" else "an icon of the Feather set that GitHub knows"
    message = f"found {shown(value)} as '{key}' of 'branding', expected {known}"
    findings.warning(node, "unknown-value", message)
    return None
