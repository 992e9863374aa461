#!/usr/bin/env python3
"""What is for ./dev, and what it passes on."""

import unittest

from dev_words import split


class Words(unittest.TestCase):
    def test_options_are_passed_on(self):
        self.assertEqual(split(["run", "--listen", "127.0.0.1:0"]), (["run"], ["--listen", "127.0.0.1:0"]))
        self.assertEqual(split(["run", "--", "-c", "x.toml"]), (["run"], ["-c", "x.toml"]))
        self.assertEqual(split(["bench", "sources", "200"]), (["bench"], ["sources", "200"]))
        self.assertEqual(split(["run"]), (["run"], []))

    def test_its_own_are_not(self):
        self.assertEqual(split(["run", "--help"]), (["run", "--help"], []))
        self.assertEqual(split(["demo", "--port", "0"]), (["demo", "--port", "0"], []))
        self.assertEqual(split([]), ([], []))


if __name__ == "__main__":
    unittest.main()
