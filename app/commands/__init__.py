"""Commands of the command line that play, replay, explore, shrink or decide in this process; app.cli imports them
late."""
