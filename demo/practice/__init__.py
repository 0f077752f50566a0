"""The practice switch: FreeSWITCH's side of the wire, for tests and for machines without FreeSWITCH.

It speaks real ESL on both sockets, walks the dialplan of ``freeswitch_conf/``, plays prompts and writes
two-channel recordings. It understands what ``recorder/switch/commands.py`` sends, and nothing else::

    with PracticeSwitch(password=..., daemon="127.0.0.1:8084") as switch:      # .event_port
        call = switch.call("+3225550101", PracticeParty(speaks=wav, answers_with=wav, callee="answers"))
        call.wait("announcing", 10)                     # placed asked announcing ringing bridged ended
        call.press("5"); call.hold(); call.unhold(); call.hang_up()
        call.callee_presses("*5"); call.callee_holds(); call.callee_unholds(); call.callee_hangs_up()
        call.digits.heard_external; call.digits.heard_internal; call.played
        call.leg.variables["accord_state"]; call.media.tapes
        switch.stall(); switch.go_on(); switch.die()

As a process: ``python -m demo.practice --call +3225550101:fr``. Wait with gevent.

The modules in layers: values (``wire``, ``pace``, ``sound``, ``party``, ``leg``, ``dialplan``), ``core``,
``listener`` and ``media``, ``call`` with what happens to its legs, ``session``, ``applications`` (a table
that is given to each session), ``api``, and ``switch``.
"""
