from ddcore.report.protocols import protocols_part
from ddcore.training import PROTOCOLS


def test_every_protocol_has_a_row_and_its_source():
    text = protocols_part()
    for name, protocol in PROTOCOLS.items():
        assert f"| {name} | {protocol.title} |" in text and protocol.source in text
    assert "| dc | crop, scale, rotate | none | none | none |" in text
