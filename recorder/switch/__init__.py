"""The only package that knows FreeSWITCH: it turns events into values, and commands into bytes.

``framing`` splits bytes into frames, ``esl_events`` reads headers, ``translation`` and ``conference_events``
turn them into the events of a call, ``commands`` builds commands, ``dispatch`` and ``connection`` run one
connection, ``esl`` defines the two kinds of connection, ``standing_connection`` keeps the standing one,
``outbound_socket`` accepts calls, ``caller_id`` reads the parties, and ``dialplan_*`` check the loaded
dialplan.
"""
