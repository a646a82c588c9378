"""An evaluation that is killed again and again ends with the figures of an undisturbed one."""

import signal
import subprocess
import sys
import time

import pytest

from vcebench.evaluating.remembering import FOLDER, forget
from vcebench.folders.runfolder import RunFolder

KILLS = 20
# The command with small chunks, so that there are many of them.
COMMAND = """
import sys
from vcebench.evaluating import extraction
extraction.CHUNK = 1
from vcebench.cli import main
sys.exit(main(sys.argv[1:]))
"""


def started(*arguments):
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *map(str, arguments), "--threads", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


@pytest.mark.slow
def test_twenty_kills(tmp_path):
    run = tmp_path / "run"
    asked = ["--method", "pgd", "--dataset", "digits", "--limit", "100", "--tau", "2"]
    first = started("run", *asked, "--output", run)
    assert first.wait() == 0, first.stderr.read()
    expected = (run / "metrics.json").read_text()
    assert forget(RunFolder(run)) == 100

    def blocks():
        return len(list((run / FOLDER).glob("*.block")))

    for _ in range(KILLS):
        before = blocks()
        process = started("evaluate", run)
        while blocks() == before and process.poll() is None:
            time.sleep(0.001)
        assert process.poll() is None, "it ended before it was killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert blocks() > before
    assert blocks() < 100
    (run / "metrics.json").unlink()
    last = started("evaluate", run)
    assert last.wait() == 0, last.stderr.read()
    assert (run / "metrics.json").read_text() == expected
