"""The only room that knows FreeSWITCH: what it says becomes values, what it is told is made here.

``framing`` cuts bytes into frames, ``events`` reads headers, ``commands`` makes what is sent, ``queues`` and
``wire`` are one connection's life, ``esl`` the two kinds of connection, ``node`` the standing one,
``dialplan`` the socket that calls arrive on, ``caller`` who is calling.
"""
