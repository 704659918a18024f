"""What stops a publisher: one exception, whose message a command line can say in the person's language."""

from filters.message import Message


class PublishError(Exception):
    """What was asked for cannot be done; nothing was changed. The message says why and, where there is one, what to do.

    Made as a ``Message`` is (filters/message.py), or of one.
    """

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message if isinstance(message, Message) else Message(message, **facts))
