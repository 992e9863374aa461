#!/usr/bin/env python3
"""Each rule of tidy.py is shown something it must find, and something it must leave alone."""

import unittest

import tidy

ROOMS = {
    "src/base/CMakeLists.txt": "belfry_room(NAME base SOURCES a.h)",
    "src/hub/CMakeLists.txt": "belfry_room(NAME hub DEPS base log SOURCES hub.h hub.cc)",
    "src/log/CMakeLists.txt": "belfry_room(NAME log DEPS base SOURCES log.h)",
}


def breaches(rule, **files):
    texts = dict(ROOMS)
    texts.update({name.replace("__", "/").replace("_dot_", "."): text for name, text in files.items()})
    return list(rule(texts))


class Tidy(unittest.TestCase):
    def test_includes_follow_deps_and_doors(self):
        self.assertEqual(
            breaches(tidy.check_includes, src__hub__x_dot_cc='#include "log/log.h"\n#include "base/a.h"\n'),
            [],
        )
        self.assertEqual(len(breaches(tidy.check_includes, src__log__x_dot_cc='#include "hub/hub.h"\n')), 1)
        self.assertEqual(
            len(breaches(tidy.check_includes, src__hub__x_dot_cc='#include "log/inner.h"\n')), 1
        )

    def test_doors_show_no_foreign_headers(self):
        self.assertEqual(
            len(breaches(tidy.check_doors, src__hub__hub_dot_h="#include <openssl/evp.h>\n")), 1
        )
        self.assertEqual(breaches(tidy.check_doors, src__hub__hub_dot_h="#include <vector>\n"), [])

    def test_threats_have_rows_and_tests(self):
        row = "| {} | a threat | a mitigation | `HoldsIt` |\n"
        page = "".join(row.format(number) for number in sorted(tidy.THREATS))
        tests = {"src/hub/x_test.cc": "TEST(Hub, HoldsIt) {"}
        self.assertEqual(list(tidy.check_threats({"SECURITY.md": page, **tests})), [])
        self.assertEqual(len(list(tidy.check_threats({"SECURITY.md": page.split("\n", 1)[1], **tests}))), 1)
        self.assertEqual(len(list(tidy.check_threats({"SECURITY.md": page}))), len(tidy.THREATS))
        empty = page.replace("| `HoldsIt` |", "| - |", 1)
        self.assertEqual(len(list(tidy.check_threats({"SECURITY.md": empty, **tests}))), 1)

    def test_sizes(self):
        long_function = "int f() {\n" + "  g();\n" * 71 + "}\n"
        self.assertEqual(len(breaches(tidy.check_sizes, src__hub__x_dot_cc=long_function)), 1)
        self.assertEqual(
            breaches(tidy.check_sizes, src__hub__x_dot_cc="int f() {\n" + "  g();\n" * 70 + "}\n"), []
        )
        self.assertEqual(len(breaches(tidy.check_sizes, src__hub__x_dot_cc="\n" * 501)), 1)
        self.assertEqual(len(breaches(tidy.check_sizes, src__hub__x_dot_cc="x" * 110)), 1)

    def test_fences(self):
        self.assertEqual(breaches(tidy.check_fences, a_dot_md="```sh\nx\n```\ny\n```\nz\n```\n"), [])
        for wrong in ("```sh\nx\n```toml\n```\n", "```\nx\n", "```\n```\n"):
            self.assertEqual(len(breaches(tidy.check_fences, a_dot_md=wrong)), 1)

    def test_words(self):
        self.assertEqual(len(breaches(tidy.check_words, src__hub__x_util_dot_cc="")), 1)
        self.assertEqual(len(breaches(tidy.check_words, src__hub__x_dot_cc="// TO" + "DO: later")), 1)
        self.assertEqual(len(breaches(tidy.check_words, README_dot_md="in /wo" + "rk/main")), 1)

    def test_threads_clocks_and_purity(self):
        self.assertEqual(
            len(breaches(tidy.check_threads_and_clocks, src__hub__x_dot_cc="std::mutex m;")), 1
        )
        self.assertEqual(
            len(
                breaches(
                    tidy.check_threads_and_clocks, src__api__x_dot_cc="std::chrono::steady_clock::now()"
                )
            ),
            1,
        )
        self.assertEqual(
            len(breaches(tidy.check_threads_and_clocks, src__hub__x_dot_cc="#include <thread>")), 1
        )
        self.assertEqual(breaches(tidy.check_threads_and_clocks, src__hub__x_dot_cc="int x;"), [])

    def test_tests_with_threads_are_known(self):
        known = {
            f"src/{name.removesuffix('_test')}/x_test.cc": "std::thread t;" for name in tidy.THREAD_TESTS
        }
        self.assertEqual(list(tidy.check_thread_tests(known)), [])
        self.assertEqual(len(list(tidy.check_thread_tests({**known, "src/log/x_test.cc": "int x;"}))), 1)
        own = {"src/hub/x_test.cc": '#include "hub/y.h"\n#include "log/z.h"\n', "src/log/z.h": "std::thread"}
        self.assertEqual(list(tidy.check_thread_tests({**known, **own, "src/hub/y.h": "int x;"})), [])
        self.assertEqual(
            list(tidy.check_thread_tests({**known, **own, "src/hub/y.h": "std::jthread"})),
            ["src/hub/y.h: hub_test starts a thread, and is not in THREAD_TESTS"],
        )
        self.assertEqual(
            len(list(tidy.check_thread_tests({**known, "tests/fuzz/x.cc": "pthread_create("}))), 1
        )

    def test_hashes_of_texts_are_keyed(self):
        good = "std::unordered_map<std::string, std::pair<A, B>, KeyedHash> a; std::unordered_set<int> b;"
        self.assertEqual(breaches(tidy.check_hashes, src__hub__x_dot_h=good), [])
        for wrong in (
            "std::unordered_map<std::string, int> a;",
            "std::unordered_map<std::string, int, std::less<>> a;",
            "std::unordered_set<std::string_view> a;",
            "std::unordered_map<std::pair<int, int>, int> a;",
            "return std::hash<std::string>()(text);",
        ):
            self.assertEqual(len(breaches(tidy.check_hashes, src__hub__x_dot_h=wrong)), 1, wrong)

    def test_secrets_are_compared_in_one_way(self):
        call = "if (!same_secret(*given, expected)) "
        good = call + "return; if (given == nullptr || signature.size() != 3 || a == expected.size()) x();"
        self.assertEqual(breaches(tidy.check_secrets, src__api__ticket_dot_cc=good), [])
        self.assertEqual(breaches(tidy.check_secrets, src__api__other_dot_cc="a == expected"), [])
        self.assertEqual(len(breaches(tidy.check_secrets, src__api__ticket_dot_cc="")), 1)
        for wrong in ("*given == expected", "x != digest", "signature == x", "std::memcmp(a, b, 9)"):
            self.assertEqual(
                len(breaches(tidy.check_secrets, src__api__ticket_dot_cc=call + wrong)), 1, wrong
            )
        anywhere = "CRYPTO_memcmp(a, b, 9)"
        self.assertEqual(len(breaches(tidy.check_secrets, src__hub__x_dot_cc=anywhere)), 1)
        self.assertEqual(len(breaches(tidy.check_secrets, src__base__hmac_dot_cc="a == b")), 1)

    def test_every_file_is_built(self):
        self.assertEqual(breaches(tidy.check_listed, src__hub__hub_dot_cc=""), [])
        self.assertEqual(len(breaches(tidy.check_listed, src__hub__lost_dot_cc="")), 1)

    def test_maps_and_links(self):
        head = "| room | x | y |\n|---|\n"
        good = head + "| `base` | x | std |\n| `hub` | x | base log |\n| `log` | x | base |\n"
        self.assertEqual(breaches(tidy.check_maps, ARCHITECTURE_dot_md=good), [])
        self.assertEqual(
            len(breaches(tidy.check_maps, ARCHITECTURE_dot_md=good.replace("base log", "base"))), 1
        )
        self.assertEqual(len(breaches(tidy.check_links, README_dot_md="[x](docs/nothing.md)")), 1)
        self.assertEqual(breaches(tidy.check_links, README_dot_md="[x](src/hub)"), [])

    def test_cut_blocks(self):
        readme = "<!-- cut: a.sh#one -->\n```sh\nls\n```\n"
        self.assertEqual(breaches(tidy.check_cuts, README_dot_md=readme, a_dot_sh="# one\nls\n# end\n"), [])
        self.assertEqual(
            len(breaches(tidy.check_cuts, README_dot_md=readme, a_dot_sh="# one\nll\n# end\n")), 1
        )


if __name__ == "__main__":
    unittest.main(verbosity=0)
