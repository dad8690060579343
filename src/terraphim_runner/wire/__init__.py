"""What host and guest say to each other over one byte stream, without any I/O.

``frames`` cuts the stream, ``messages`` gives the payloads their meaning. Both sides run this code, the guest's side
under emulation: hence plain classes, and no module (``dataclasses``, ``enum``, ``typing``, ``json``) that is slow to
import. Everything that arrives is hostile until it is decoded: each kind of frame has its own size limit, and whatever
is not expected is a ``ProtocolError``.
"""
