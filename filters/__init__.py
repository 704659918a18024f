"""What a name, an address, a URL or a text *is*. Pure: no socket, no clock; only ``domain_index`` maps a file."""
