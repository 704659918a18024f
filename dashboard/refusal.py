"""What a person asked for and does not get, in words. Raised by whatever carries changes out; shown by pages, answered by the API."""

from filters.message import Message


class Refused(Exception):
    """Nothing was changed. ``status`` is the HTTP status; ``field`` names the form's field that is wrong, where one is."""

    def __init__(self, message: Message, *, status: int = 409, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.field = field
