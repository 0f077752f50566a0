"""Routes that bridge a call ahead of Accord, in dialplans like FreeSWITCH's own."""

from __future__ import annotations

import pytest

from recorder.switch.dialplan_lint_outbound import RUNS_ACCORD
from recorder.switch.dialplan_model import Action, LoadedDialplan
from recorder.switch.dialplan_routes import bridges_externally, external_numbers, inbound, outbound

ENTRY = """
<extension name="accord_untouched" continue="true">
 <condition field="${accord_state}" expression="^$"/>
 <condition regex="any"><regex field="destination_number" expression="^(112|911)$"/>
  <regex field="caller_id_number" expression="^none$"/>
  <action application="set" data="accord_state=never_record" inline="true"/></condition></extension>
<extension name="accord" continue="true">
 <condition field="${accord_state}" expression="^$"/>
 <condition field="destination_number" expression="^(\\+?[0-9]{2,15})$">
  <action application="set" data="accord_line=$1"/>
  <action application="set" data="accord_state=waiting"/>
  <action application="socket" data="127.0.0.1:8084 async full"/></condition></extension>
"""
OUTBOUND = f"""
<extension name="accord_outbound_untouched" continue="true">
 <condition field="${{accord_state}}" expression="^$"/>
 <condition field="destination_number" expression="^(112|911)$">
  <action application="set" data="accord_state=never_record" inline="true"/></condition></extension>
<extension name="accord_outbound" continue="true">
 <condition field="${{accord_state}}" expression="^$"/>
 <condition field="${{accord_line}}" expression="^\\+?[0-9]{{2,15}}$"/>
 <condition field="destination_number" expression="^\\+?[0-9]{{2,15}}$">
  <action application="set" data="accord_state=outgoing"/>
  <action application="set" data="{RUNS_ACCORD}"/></condition></extension>
"""
EXTENSIONS = (
    '<extension name="extensions"><condition field="destination_number" expression="^(10[01][0-9])$">'
    '<action application="transfer" data="$1 XML default"/></condition></extension>'
)
DID = (
    '<extension name="did"><condition field="destination_number" expression="^(5551212)$">'
    '<action application="transfer" data="1000 XML default"/></condition></extension>'
)
LOCAL = (
    '<extension name="local_extension"><condition field="destination_number" expression="^(10[01][0-9])$">'
    '<action application="bridge" data="user/$1@${domain_name}"/></condition></extension>'
)
DOMESTIC = (
    '<extension name="domestic"><condition field="${toll_allow}" expression="domestic"/>'
    '<condition field="destination_number" expression="^(\\d{11})$">'
    '<action application="bridge" data="sofia/gateway/${default_gateway}/$1"/></condition></extension>'
)
DIGITS = (
    '<extension name="local"><condition field="${toll_allow}" expression="local"/>'
    '<condition field="destination_number" expression="^(\\d{7})$">'
    '<action application="bridge" data="sofia/gateway/${default_gateway}/1${areacode}$1"/>'
    "</condition></extension>"
)
ABROAD = (
    '<extension name="international"><condition field="${toll_allow}" expression="international"/>'
    '<condition field="destination_number" expression="^(011\\d+)$">'
    '<action application="bridge" data="sofia/gateway/${default_gateway}/$1"/></condition></extension>'
)
LINE = "+3225550101"


def dialplan(public: str = "", default: str = "", **more: str) -> LoadedDialplan:
    contexts = {"public": public, "default": default, **more}
    return LoadedDialplan(
        "<section>"
        + "".join(f'<context name="{k}">{v}</context>' for k, v in contexts.items())
        + "</section>"
    )


def inbound_routes(loaded: LoadedDialplan, number: str) -> list[str]:
    return [route.extension for route in inbound(loaded, "public", number)]


def outbound_routes(loaded: LoadedDialplan, number: str) -> list[str]:
    return [route.extension for route in outbound(loaded, "default", number, LINE)]


def test_finds_a_route_ahead_of_accord() -> None:
    loaded = dialplan(EXTENSIONS + ENTRY + DID, LOCAL)
    assert inbound_routes(loaded, "1001") == ["extensions"]
    assert inbound_routes(loaded, "5551212") == []
    assert inbound_routes(dialplan(DID + ENTRY, LOCAL), "5551212") == ["did"]


def test_ignores_routes_behind_accord() -> None:
    loaded = dialplan(ENTRY + EXTENSIONS + DID, LOCAL)
    assert [inbound_routes(loaded, number) for number in ("1001", "5551212")] == [[], []]


def test_ignores_a_route_that_bridges_nobody() -> None:
    assert inbound_routes(dialplan(EXTENSIONS + ENTRY, ""), "1001") == []
    hangs_up = EXTENSIONS.replace("transfer", "hangup")
    assert inbound_routes(dialplan(hangs_up + ENTRY, LOCAL), "1001") == []


def test_transfer_target_may_pass_calls_to_accord() -> None:
    assert inbound_routes(dialplan(EXTENSIONS + ENTRY, ENTRY + LOCAL), "1001") == []
    assert inbound_routes(dialplan(EXTENSIONS + ENTRY, LOCAL + ENTRY), "1001") == ["extensions"]


@pytest.mark.parametrize(
    "condition",
    [
        '<condition wday="2-6" hour="9-18"/>',
        '<condition field="${open}" expression="^true$"/>',
        '<condition field="${module_exists(mod_x)}" expression="true"/>',
        '<condition field="network_addr" expression="^10"/>',
        '<condition regex="any"><regex field="destination_number" expression="^9"/>'
        '<regex field="ani" expression="^1"/></condition>',
        '<condition field="destination_number" expression="^${extension}$"/>',
        '<condition field="destination_number" expression="(?P&lt;a&gt;1)(?P&lt;a&gt;0)"/>',
    ],
)
def test_unknown_condition_may_be_met(condition: str) -> None:
    sometimes = EXTENSIONS.replace("<condition", condition + "<condition", 1)
    assert inbound_routes(dialplan(sometimes + ENTRY, LOCAL), "1001") == ["extensions"]
    later = EXTENSIONS.replace('"extensions"', '"later"')
    assert inbound_routes(dialplan(sometimes + later + ENTRY, LOCAL), "1001") == ["extensions", "later"]


def test_met_condition_ends_the_search() -> None:
    tested = '<condition field="destination_number"><expression>^1</expression></condition>'
    both = EXTENSIONS.replace("<condition", tested + "<condition", 1)
    later = EXTENSIONS.replace('"extensions"', '"later"')
    assert inbound_routes(dialplan(both + later + ENTRY, LOCAL), "1001") == ["extensions"]


@pytest.mark.parametrize(
    "condition",
    [
        '<condition field="destination_number" expression="^2"/>',
        '<condition field="${accord_state}" expression="."/>',
        '<condition regex="all"><regex field="destination_number" expression="^2"/>'
        '<regex field="ani" expression="^1"/></condition>',
        '<condition regex="xor"><regex field="destination_number" expression="^1"/>'
        '<regex field="context" expression="^public$"/></condition>',
    ],
)
def test_unmet_condition_gives_no_route(condition: str) -> None:
    never = EXTENSIONS.replace("<condition", condition + "<condition", 1)
    assert inbound_routes(dialplan(never + ENTRY, LOCAL), "1001") == []


def test_reads_nested_conditions_and_anti_actions() -> None:
    nested = EXTENSIONS.replace("<action", '<condition field="${x}" expression="y"><action').replace(
        "</condition>", "</condition></condition>", 1
    )
    assert inbound_routes(dialplan(nested + ENTRY, LOCAL), "1001") == ["extensions"]
    anti = (
        EXTENSIONS.replace("^(10[01][0-9])$", "^2").replace("<action", "<anti-action").replace("$1", "1001")
    )
    assert inbound_routes(dialplan(anti + ENTRY, LOCAL), "1001") == ["extensions"]


def test_conditional_accord_extension_leaves_other_routes() -> None:
    name = '<extension name="accord" continue="true">'
    at_night = ENTRY.replace(name, name + '<condition hour="18-24"/>')
    assert inbound_routes(dialplan(at_night + EXTENSIONS, LOCAL), "1001") == ["extensions"]


def test_ignores_never_recorded_numbers() -> None:
    emergency = DIGITS.replace(r"^(\d{7})$", "^(911)$")
    assert outbound_routes(dialplan(default=emergency + OUTBOUND), "911") == []
    assert inbound_routes(dialplan(ENTRY + EXTENSIONS, LOCAL), "911") == []


def test_circular_transfers_end() -> None:
    circle = EXTENSIONS.replace("XML default", "XML public")
    assert inbound_routes(dialplan(circle + ENTRY), "1001") == []


def test_finds_external_routes_by_length() -> None:
    loaded = dialplan(default=LOCAL + DIGITS + DOMESTIC + ABROAD + OUTBOUND)
    numbers, without_sample = external_numbers(loaded, "default")
    assert without_sample == []
    assert {len(number) for number in numbers} == set(range(4, 16))
    assert {name for number in numbers for name in outbound_routes(loaded, number)} == {
        "local",
        "domestic",
        "international",
    }
    fixed = dialplan(default=LOCAL + OUTBOUND + DIGITS + DOMESTIC + ABROAD)
    assert [name for number in numbers for name in outbound_routes(fixed, number)] == []


def test_finds_only_files_that_sort_first() -> None:
    loaded = dialplan(default=DIGITS + OUTBOUND + DOMESTIC)
    assert (outbound_routes(loaded, "5551234"), outbound_routes(loaded, "12125550123")) == (["local"], [])


def test_call_without_a_line_is_not_passed_to_accord() -> None:
    loaded = dialplan(default=OUTBOUND + DIGITS)
    assert [route.extension for route in outbound(loaded, "default", "5551234", "")] == ["local"]


def test_follows_other_contexts() -> None:
    by_nine = DIGITS.replace(r"^(\d{7})$", r"^9(\d+)$").replace(
        'application="bridge" data="sofia/gateway/${default_gateway}/1${areacode}$1"',
        'application="transfer" data="$1 XML trunk"',
    )
    loaded = dialplan(default=by_nine + OUTBOUND, trunk=DOMESTIC.replace("domestic", "trunk"))
    numbers, _ = external_numbers(loaded, "default")
    assert {name for number in numbers for name in outbound_routes(loaded, number)} == {"local"}


def bridge(dial: str, name: str = "looped", expression: str = "^(5551234)$") -> str:
    return (
        f'<extension name="{name}"><condition field="destination_number" expression="{expression}">'
        f'<action application="bridge" data="{dial}"/></condition></extension>'
    )


OUT = bridge("sofia/gateway/trunk/$1", "out", r"^(\d{7})$")


@pytest.mark.parametrize(
    "dial",
    [
        "loopback/$1/trunk",
        "loopback/$1/trunk/XML",
        "loopback/${destination_number}/trunk/xml",
        "user/1000@d,[leg_timeout=20,a=b]loopback/$1/trunk",
        "{a=${b},c=d}loopback/$1/trunk|user/1000@d",
    ],
)
def test_follows_a_bridge_to_loopback_round_accord(dial: str) -> None:
    loaded = dialplan(bridge(dial) + ENTRY, bridge(dial) + OUTBOUND, trunk=OUT)
    assert "looped" in inbound_routes(loaded, "5551234")
    assert outbound_routes(loaded, "5551234") == ["looped"]
    numbers, _ = external_numbers(dialplan(default=bridge(dial, expression=r"^(555\d+)$")), "default")
    assert {len(number) for number in numbers} == set(range(4, 16))


def test_follows_a_bridge_to_loopback_through_accord() -> None:
    assert inbound_routes(dialplan(bridge("loopback/1000") + ENTRY, ENTRY + LOCAL), "5551234") == []
    assert inbound_routes(dialplan(bridge("loopback/1000") + ENTRY, LOCAL), "5551234") == ["looped"]
    one_of_two = bridge("loopback/1000,user/1001@d")
    assert inbound_routes(dialplan(one_of_two + ENTRY, ENTRY + LOCAL), "5551234") == ["looped"]


@pytest.mark.parametrize(
    ("before", "dial", "found"),
    [
        ("", "loopback/$1/trunk", ["looped"]),
        ("", "{accord_line=3225550101}loopback/$1/trunk", []),
        ("", "[accord_line=3225550101]loopback/$1/trunk", []),
        ("nolocal:accord_line=${accord_line}", "loopback/$1/trunk", []),
        ("accord_line=${nobody_knows}", "loopback/$1/trunk", ["looped"]),
        ("accord_line=3225550101", "{accord_line=}loopback/$1/trunk", ["looped"]),
        ("nolocal:accord_state=late", "{accord_line=3225550101}loopback/$1/trunk", ["looped"]),
    ],
)
def test_loopback_leg_has_only_the_variables_that_it_is_given(
    before: str, dial: str, found: list[str]
) -> None:
    """The line that the directory or the dialplan set stays with the caller's channel."""
    looped = bridge(dial).replace("<action", f'<action application="export" data="{before}"/><action')
    loaded = dialplan(default=looped + OUTBOUND, trunk=OUTBOUND + OUT)
    assert outbound_routes(loaded, "5551234") == found


def test_export_goes_with_a_transferred_call() -> None:
    moved = bridge("x").replace(
        '"bridge" data="x"',
        '"export" data="accord_line=3225550101"/><action application="transfer" data="$1 XML on"',
    )
    loaded = dialplan(default=moved + OUTBOUND, on=bridge("loopback/$1/trunk"), trunk=OUTBOUND + OUT)
    assert outbound_routes(loaded, "5551234") == []


@pytest.mark.parametrize(
    "dial", ["loopback/app=bridge:user/1", "loopback/$1/trunk/lua", "loopback/${where}/trunk"]
)
def test_loopback_that_cannot_be_followed_connects(dial: str) -> None:
    loaded = dialplan(bridge(dial) + ENTRY, trunk=ENTRY)
    assert inbound_routes(loaded, "5551234") == ["looped"]


def test_circular_loopback_ends() -> None:
    """Two ways at each turn: followed without a guard, that would be 2¹⁰ routes."""
    circle = bridge("loopback/$1/public,loopback/$1/public")
    assert inbound_routes(dialplan(circle + ENTRY), "5551234") == []
    longer_number = bridge("loopback/1$1/public,loopback/1$1/public", expression=r"^(1*5551234)$")
    assert inbound_routes(dialplan(longer_number + ENTRY), "5551234") == []
    legs = "loopback/$1/b,loopback/$1/b,user/1"
    there_and_back = dialplan(bridge(legs) + ENTRY, b=bridge(legs.replace("/b", "/public"), "back"))
    assert len(inbound_routes(there_and_back, "5551234")) == 3


@pytest.mark.parametrize(
    ("expression", "begins"),
    [
        (r"^9(1\d{10})$", "91"),
        (r"^(00|\+)[1-9]\d{6,12}$", ""),
        (r"^0([1-9]\d{8})$", "0"),
        (r"^\+?32(47\d+)$", ""),
    ],
)
def test_sample_numbers_of_other_number_plans(expression: str, begins: str) -> None:
    loaded = dialplan(default=DIGITS.replace(r"^(\d{7})$", expression) + OUTBOUND)
    numbers, without_sample = external_numbers(loaded, "default")
    assert without_sample == []
    assert numbers
    assert all(number.startswith(begins) for number in numbers)
    assert {name for number in numbers for name in outbound_routes(loaded, number)} == {"local"}


def test_reports_extensions_without_a_sample_number() -> None:
    loaded = dialplan(default=DIGITS.replace(r"^(\d{7})$", "^7+3{3}(1+)4$") + OUTBOUND)
    assert external_numbers(loaded, "default") == ([], ["local"])


@pytest.mark.parametrize(
    ("dial", "number", "external"),
    [
        ("sofia/gateway/trunk/$1", "112", True),
        ("{a=b,c=d}[x=y]sofia/gateway/trunk/1", "1", True),
        ("user/1000@d,[leg_timeout=20]sofia/external/1@198.51.100.7", "1000", True),
        ("user/1000@${domain}|group/sales@d", "5551212", False),
        ("sofia/internal/1001%d", "5551212", False),
        ("${sofia_contact(1001@d)}", "5551212", False),
        ("loopback/app=voicemail:default d 1000", "5551212", False),
        ("${where}", "5551212", True),
        ("${where}", "1001", False),
        ("freetdm/1/a/$1", "1001", True),
    ],
)
def test_classifies_dial_strings(dial: str, number: str, external: bool) -> None:
    assert bridges_externally(Action("bridge", dial), number) is external
    assert not bridges_externally(Action("playback", dial), number)
