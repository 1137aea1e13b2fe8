"""Options that many commands share."""

from typing import Annotated

import typer

DEFAULT_LIMIT = 100

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
AccountName = Annotated[
    str | None, typer.Option("--account", metavar="NAME", help="The account, where there are several.")
]
Acting = Annotated[
    str | None, typer.Option("--as", metavar="USER", help="Who does it; the user's profile must permit it.")
]
Limit = Annotated[int, typer.Option("--limit", min=0, metavar="N", help="Show at most so many; 0 for all.")]
User = Annotated[str, typer.Argument(metavar="USER", help="The user's login, an e-mail address.")]
