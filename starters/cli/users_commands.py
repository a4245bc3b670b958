"""The commands of `engross users`, with their options."""

from typing import Annotated

import typer

from engross.people import Role
from engross.settings import load_settings
from starters.cli.options import Json

users = typer.Typer(
    help="Who may sign in, and what they may do. These commands work on the result store itself: who may run them there"
    " is its operator, and needs no key. Every change is written to the audit log.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a user: as names are, or an e-mail address.")]
Tenant = Annotated[str, typer.Option("--tenant", help="For this tenant; '*', in quotes, for every one.")]
Group = Annotated[str, typer.Argument(metavar="GROUP", help="A group that approvals are asked of.")]
Email = Annotated[str, typer.Option("--email", help="Where notices go.")]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from stdin: its first line. Default: ask for it.")
]


@users.command("first")
def first(name: Name, email: Email = "", password_stdin: PasswordStdin = False, as_json: Json = False) -> None:
    """Add the first user, with every role for every tenant. Refused when anybody exists."""
    from starters.cli import users

    raise typer.Exit(users.first(load_settings(), name, email=email, stdin=password_stdin, as_json=as_json))


@users.command("add")
def add(
    name: Name,
    email: Email = "",
    password_stdin: PasswordStdin = False,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="They sign in by OpenID Connect or an API key only.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Add a user, who has no rights until `engross users grant` gives them some."""
    from starters.cli import users

    settings = load_settings()
    code = users.add(settings, name, email=email, stdin=password_stdin, without=no_password, as_json=as_json)
    raise typer.Exit(code)


@users.command("password")
def password(name: Name, password_stdin: PasswordStdin = False) -> None:
    """Give a user a new password. Their sessions end; their API keys go on working."""
    from starters.cli import users

    raise typer.Exit(users.password(load_settings(), name, stdin=password_stdin))


@users.command("email")
def email(name: Name, address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Where notices go.")]) -> None:
    """Change where a user's notices go, and by which address OpenID Connect finds them."""
    from starters.cli import users

    raise typer.Exit(users.set_email(load_settings(), name, address))


@users.command("list")
def list_users(
    tenant: Annotated[
        str | None, typer.Option("--tenant", help="Only who has a role or a group for this tenant.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List users with their roles and groups."""
    from starters.cli import users

    raise typer.Exit(users.list_users(load_settings(), tenant, as_json=as_json))


@users.command("grant")
def grant(name: Name, role: Annotated[Role, typer.Argument(help="What they may do.")], tenant: Tenant) -> None:
    """Give a user a role."""
    from starters.cli import users

    raise typer.Exit(users.grant(load_settings(), name, tenant, role))


@users.command("revoke")
def revoke(
    name: Name, role: Annotated[Role, typer.Argument(help="What they may no longer do.")], tenant: Tenant
) -> None:
    """Take a role from a user. It holds at once, in open sessions too."""
    from starters.cli import users

    raise typer.Exit(users.revoke(load_settings(), name, tenant, role))


@users.command("join")
def join(name: Name, group: Group, tenant: Tenant) -> None:
    """Put a user into a group. What they may do there is a matter of their roles."""
    from starters.cli import users

    raise typer.Exit(users.join(load_settings(), name, tenant, group))


@users.command("leave")
def leave(name: Name, group: Group, tenant: Tenant) -> None:
    """Take a user out of a group."""
    from starters.cli import users

    raise typer.Exit(users.leave(load_settings(), name, tenant, group))


@users.command("deactivate")
def deactivate(name: Name) -> None:
    """Keep a user out: their sessions end, and their API keys rest. What they decided stays."""
    from starters.cli import users

    raise typer.Exit(users.set_active(load_settings(), name, active=False))


@users.command("activate")
def activate(name: Name) -> None:
    """Let a user in again, with the rights and API keys that they had."""
    from starters.cli import users

    raise typer.Exit(users.set_active(load_settings(), name, active=True))


@users.command("key")
def key(
    name: Name,
    label: Annotated[str, typer.Option("--label", help="What the key is for.")],
    days: Annotated[
        int | None, typer.Option("--days", min=1, help="How long it works. Default: until it is revoked.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make an API key and print it, once; nothing else is on stdout. ENGROSS_USER_KEY takes it."""
    from starters.cli import users_keys

    raise typer.Exit(users_keys.make(load_settings(), name, label=label, days=days, as_json=as_json))


@users.command("keys")
def keys(name: Name, as_json: Json = False) -> None:
    """List the API keys of a user, newest first: what they are for, and when they were used last."""
    from starters.cli import users_keys

    raise typer.Exit(users_keys.list_keys(load_settings(), name, as_json=as_json))


@users.command("revoke-key")
def revoke_key(
    name: Name, key_id: Annotated[str, typer.Argument(metavar="ID", help="As `engross users keys` prints it.")]
) -> None:
    """End an API key for good."""
    from starters.cli import users_keys

    raise typer.Exit(users_keys.revoke(load_settings(), name, key_id))
