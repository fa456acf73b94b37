"""F1 to F33: what goes wrong between two machines."""

from __future__ import annotations

from paragon_async import Retry, Timeouts
from tests.proofs.matrix import acts, detours
from tests.proofs.matrix.faults import Fault, wire

QUICK = Timeouts(connect=0.3, headers=0.1, idle=0.3, slowest=4096, window=0.3)
NAME = Timeouts(connect=0.3)
BRIEF = Timeouts(idle=0.3, total=0.3)
OK = b"HTTP/1.1 200 OK\r\n"


def _longer(body):
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body) - 3, body)


FAULTS = {
    "F1": [Fault(detour=detours.refused)],
    "F2": [Fault(detour=detours.unknown_name)],
    "F3": [Fault(detour=detours.stalled_name, timeouts=NAME)],
    "F4": wire(acts.closes, fresh=True),
    "F5": wire(acts.resets, fresh=True),
    "F6": wire(acts.says(b"HTTP/1."), acts.half_a_head, fresh=True),
    "F7": wire(acts.cut("length"), acts.cut("length", "RST")),
    "F8": wire(acts.cut("chunks"), acts.cut("whole chunks"), acts.cut("chunks", "RST")),
    "F9": wire(acts.cut("bare"), framed=False),
    "F9b": wire(acts.cut("bare"), framed=False, bare=True),
    "F10": wire(acts.cut("bare", "RST")),
    "F11": wire(acts.chunked(lambda body: b"xyz\r\n" + body), acts.chunked(_longer)),
    "F12": wire(
        acts.headed("Content-Length: {length}", "Content-Length: {more}"),
        acts.headed("Content-Length: {length}", "Transfer-Encoding: chunked"),
        acts.headed("Content-Length: abc"),
        acts.headed("Content-Length: -5"),
        acts.headed(f"Content-Length: {2**70}"),
    ),
    "F13": wire(acts.understates),
    "F14": wire(acts.then(acts.FOREIGN)),
    "F14b": wire(
        acts.then(acts.FOREIGN, idle=True),
        acts.then(None, idle=True),
        strays=True,
        points={"pull": "any", "download": "any"},
    ),
    "F15": wire(acts.then(b"\x00garbage\r\n\r\n", idle=True)),
    "F16": wire(acts.stalls("nothing"), timeouts=QUICK),
    "F17": wire(acts.drips_a_head, timeouts=QUICK),
    "F18": wire(acts.stalls("body"), timeouts=QUICK),
    "F19": wire(acts.drips_a_body, timeouts=QUICK),
    "F20": wire(acts.hints_for_ever, timeouts=QUICK),
    "F21": wire(acts.a_thousand_hints),
    "F22": wire(
        acts.headed("X-Long: " + "x" * 40_000, bare=False),
        acts.headed(*(f"X-{n}: y" for n in range(300)), bare=False),
    ),
    "F23": wire(
        acts.says(b"\x16\x03\x01 no HTTP\r\n\r\n"),
        acts.says(b"just a body, as in HTTP/0.9\r\n\r\n"),
        acts.says(b"HTTP/1.1 99999 Odd\r\nContent-Length: 0\r\n\r\n"),
        acts.says(OK + b"X-Odd: a\x00b\r\nContent-Length: 0\r\n\r\n"),
    ),
    "F24": wire(acts.in_line_feeds),
    "F25": wire(acts.then(b""), acts.then(b"", reset=True)),
    "F26": wire(acts.closes, acts.resets),
    "F27": [Fault(detour=each) for each in detours.CERTIFICATES],
    "F28": [Fault(detour=detours.old_tls)],
    "F29": [Fault(detour=detours.no_tls, timeouts=NAME)],
    "F30": wire(acts.slowly(100_000), timeouts=BRIEF, pause=0.4, large=True),
    "F31": wire(acts.replies(), timeouts=BRIEF, pause=0.4),
    "F32": wire(acts.cut("length"), retry=Retry(attempts=40, first_wait=0.0)),
    "F33": wire(acts.stalls("nothing"), acts.stalls("body"), cancels=True),
}
