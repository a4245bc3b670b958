"""The `engross` command."""


def main() -> None:
    """Runs the command line of this process, and ends it with the documented exit code."""
    from starters.cli.app import app  # importing the package stays free for those who only want to look at it

    app(prog_name="engross")
