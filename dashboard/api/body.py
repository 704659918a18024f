"""What programs send: exactly the fields that are documented, each of its own type (``"5"`` is no number, ``0`` is not false)."""

from pydantic import BaseModel, ConfigDict


class Input(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
