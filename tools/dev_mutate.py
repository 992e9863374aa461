"""./dev mutate: changes the code in one place at a time, and looks whether a test notices."""

import os


def options(parser):
    parser.add_argument("--count", type=int, default=280, help="mutants, at least [280]")
    parser.add_argument("--seed", type=int, default=1, help="of the lot that chooses them [1]")
    cores = os.cpu_count() or 2
    parser.add_argument(
        "--jobs", type=int, default=cores, help="[one for each core], of --protocol at most 2"
    )
    parser.add_argument("--protocol", action="store_true", help="those that survive by the protocol's tests")
    parser.add_argument("--anew", action="store_true", help="forget every verdict")
    parser.add_argument("--only", type=int, nargs="+", metavar="NUMBER", help="some mutants")
    parser.add_argument("--list", action="store_true", help="build, and tell the mutants")
    parser.add_argument("--report", action="store_true", help="write the report of what was judged")


def run(root, wanted):
    # Here, because ./dev has to start where libclang is not installed yet.
    from mutate import build, judge, play, report

    works = build.Works(root)
    if wanted.anew:
        works.save("results", {})
    mutants, states = build.build(works, wanted.count, wanted.seed, wanted.jobs)
    if wanted.list:
        for number, one in sorted(mutants.items()):
            print(f"{number:5} {one['name']} {one['path']}:{one['line']} {one['operator']}: ", end="")
            print(f"{one['before']}  =>  {one['after'] or 'nothing'}")
        return 0
    steps = () if wanted.report else (*judge.FIRST, *(judge.SECOND if wanted.protocol else ()))
    for floors in steps:
        judge.judge(works, mutants, states, floors, wanted.jobs, wanted.only)
    killed, count = report.write(works, mutants, wanted.seed, play.SEEDS, states[0])
    print(f"\n{killed} of {count} killed; docs/reports/mutants.md tells of the others")
    return 0
