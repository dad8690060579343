"""The agent that runs inside of a machine: as its first process in a VM, as a plain child process without one.

It is delivered as a zipapp (``bundle`` builds it) with this package and ``wire`` and nothing else: standard library
only, single-threaded, one epoll loop. It trusts the host and nobody in the guest.
"""
