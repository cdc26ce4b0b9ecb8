"""Child processes of the server inherit its settings through the environment."""

from __future__ import annotations

import os

from pydantic import SecretStr

from app.settings import PREFIX, Settings


def environment(settings: Settings) -> dict[str, str]:
    """Return this process's environment with the settings as variables, for a child process."""
    variables = dict(os.environ)
    for name, value in settings:
        variable = PREFIX + name.upper()
        if value is None:
            variables.pop(variable, None)
        elif isinstance(value, SecretStr):
            variables[variable] = value.get_secret_value()
        else:
            variables[variable] = ",".join(value) if isinstance(value, list) else str(value)
    return variables
