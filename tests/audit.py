"""Compare the packages of requirements-demo.txt with the known faults of packages.

    python -m tests.audit
    python -m tests.audit --vulnerability-service osv

pip-audit asks the service of pypi.org, or the one that is given. Ends with 0 if every package was
looked up and none has a known fault, with 1 if one has, and with 2 if not all were looked up.
"""

from __future__ import annotations

import json
import subprocess
import sys

from tests.records import ROOT

REQUIREMENTS = "requirements-demo.txt"


def main() -> None:
    """Run pip-audit with the further arguments of the command line, and print what it found."""
    command = ["pip-audit", "--require-hashes", "--disable-pip", "--progress-spinner", "off"]
    command += ["--format", "json", "-r", REQUIREMENTS, *sys.argv[1:]]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    code, lines = outcome(run.stdout, run.stderr)
    sys.stdout.write("\n".join(lines) + "\n")
    sys.exit(code)


def outcome(stdout: str, stderr: str) -> tuple[int, list[str]]:
    """Return the exit code, and what to print, of what pip-audit printed."""
    try:
        packages = json.loads(stdout)["dependencies"]
    except ValueError:
        reason = (stderr.strip().splitlines() or ["pip-audit printed nothing"])[-1]
        return 2, [f"audit: no service of known faults answered: {reason[:300]}"]
    faults = [
        f"{package['name']} {package['version']}: {fault['id']}, "
        f"fixed in {', '.join(fault['fix_versions']) or 'no version'}"
        for package in packages
        for fault in package.get("vulns", ())
    ]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if len(skipped) == len(packages):
        return 2, [f"audit: the service of known faults knows none of the {len(packages)} packages"]
    lines = [f"audit: {len(packages) - len(skipped)} packages, {len(faults)} known faults", *faults]
    lines += [f"not looked up: {', '.join(skipped)}"] if skipped else []
    return (1 if faults else 2 if skipped else 0), lines


if __name__ == "__main__":
    main()
