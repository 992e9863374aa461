"""The words of a command line."""

PASSED_ON = ("run", "bench", "profile")  # what follows them is for another program
HELP = ("-h", "--help")


def split(words):
    """(words for ./dev, words for the program that it starts)"""
    if not words or words[0] not in PASSED_ON or words[1:2] in ([HELP[0]], [HELP[1]]):
        return words, []
    rest = words[1:]
    return words[:1], rest[1:] if rest[:1] == ["--"] else rest
