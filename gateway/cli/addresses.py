"""Where people open the dashboard: the address to type, from what it listens on and what this machine is called. [shell: asks the kernel]"""

from collections.abc import Sequence
from ipaddress import ip_address

from gateway import netlink
from policies.model import Dashboard
from policies.socket_address import parse_listen


def dashboard_url(settings: Dashboard, own: Sequence[bytes] | None = None) -> str:
    """``http://192.168.1.10:8080``; ``own``: this machine's packed addresses, None: as the kernel says."""
    if settings.url is not None:
        return settings.url
    host, port = parse_listen(settings.listen)
    address = ip_address(host)
    if address.is_unspecified:
        known = [ip_address(packed) for packed in (_own_addresses() if own is None else own)]
        # The one that a colleague can type: IPv4 first, and a private one before a public one.
        known.sort(key=lambda each: (each.version, not each.is_private))
        address = known[0] if known else ip_address("127.0.0.1")
    shown = f"[{address}]" if address.version == 6 else str(address)
    scheme, default = ("http", 80) if settings.tls is None else ("https", 443)
    return f"{scheme}://{shown}" + ("" if port == default else f":{port}")


def _own_addresses() -> list[bytes]:
    try:
        return netlink.own_addresses()
    except OSError:
        return []
