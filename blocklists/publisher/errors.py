"""What stops a publisher: one exception, whose message a command line can say in the person's language."""


class PublishError(Exception):
    """What was asked for cannot be done; nothing was changed. The message says why and, where there is one, what to do.

    ``message`` is an English template with ``{fields}``, or a finished text if there are no ``facts``; ``str()`` is the English
    sentence. Apart, so that the template can be looked up in a catalogue before it is filled.
    """

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message.format(**facts) if facts else message)
        self.message = message
        self.facts = facts
