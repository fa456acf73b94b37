"""The fault matrix: each fault of the catalogue, and what is declared of it in every column.

pull       a pull of three pages; the second is hit
download   one content; of faults of pages, all contents of a pull
page       an ingest of all; the second page is hit
content    an ingest of all; one content is hit

The words are explained in `outcome`; `-` is no cell. The ids are those of failures.md, section 2, with a
letter behind it where kinds of one fault end differently. What stands in for a fault is in `FAULTS`,
by the same ids: several where one fault has several forms, and all forms share the outcomes.
"""

from __future__ import annotations

import attrs

COLUMNS = ("pull", "download", "page", "content")

TRANSPORT = """
F1   connection refused                     | again / ConnectionFailedError | again / ConnectionFailedError | again / ConnectionFailedError | again / letter unreachable
F2   name not found                         | again / ConnectionFailedError | again / ConnectionFailedError | again / ConnectionFailedError | again / letter unreachable
F3   the name server stalls                 | again / TimedOutError         | again / TimedOutError         | again / TimedOutError         | again / letter unreachable
F4   accepts, closes without a byte         | again / ConnectionFailedError | again / ConnectionFailedError | again / ConnectionFailedError | again / letter unreachable
F5   accepts, then RST                      | again / ConnectionFailedError | again / ConnectionFailedError | again / ConnectionFailedError | again / letter unreachable
F6   half a status line, half a head        | again / ConnectionFailedError | again / ConnectionFailedError | again / ConnectionFailedError | again / letter unreachable
F7   a body of known length is cut          | again / CutShortError         | again / CutShortError         | again / CutShortError         | again / letter unreachable
F8   a chunked body is cut                  | again / CutShortError         | again / CutShortError         | again / CutShortError         | again / letter unreachable
F9   a body of unknown length is cut, FIN   | again / NotJsonError          | DownloadError                 | again / NotJsonError          | letter corrupt
F9b  the same, and nothing else is known    | -                             | unverified                    | -                             | -
F10  a body of unknown length is cut, RST   | again / CutShortError         | again / CutShortError         | again / CutShortError         | again / letter unreachable
F11  bad chunk sizes, chunks too long       | again / MalformedAnswerError  | again / MalformedAnswerError  | again / MalformedAnswerError  | again / letter unreachable
F12  two lengths, length and chunks, no number | again / MalformedAnswerError | again / MalformedAnswerError | again / MalformedAnswerError | again / letter unreachable
F13  fewer bytes announced than sent        | again / MalformedAnswerError  | again / MalformedAnswerError  | again / MalformedAnswerError  | again / letter unreachable
F14  a complete answer that nobody asked for | ok                           | ok                            | ok                            | ok
F14b the same, later, while it is idle      | ok                            | ok 2                          | -                             | -
F15  garbage on an idle connection          | ok                            | ok                            | ok                            | ok
F16  never answers                          | again / TimedOutError         | again / TimedOutError         | again / TimedOutError         | again / letter unreachable
F17  the head drips                         | again / TimedOutError         | again / TimedOutError         | again / TimedOutError         | again / letter unreachable
F18  the body stalls                        | again / TimedOutError         | again / TimedOutError         | again / TimedOutError         | again / letter unreachable
F19  the body drips                         | again / TimedOutError         | again / TimedOutError         | again / TimedOutError         | again / letter unreachable
F20  early hints without end                | again / TimedOutError         | again / TimedOutError         | again / TimedOutError         | again / letter unreachable
F21  a thousand early hints                 | ok                            | ok                            | ok                            | ok
F22  a header too long, too many headers    | again / MalformedAnswerError  | again / MalformedAnswerError  | again / MalformedAnswerError  | again / letter unreachable
F23  not HTTP, HTTP/0.9, bad status, NUL    | again / MalformedAnswerError  | again / MalformedAnswerError  | again / MalformedAnswerError  | again / letter unreachable
F24  lines end in LF alone                  | ok                            | ok                            | ok                            | ok
F25  a kept connection is closed while idle | ok                            | ok                            | ok                            | ok
F26  a kept connection ends at a request    | again / ConnectionFailedError | again / ConnectionFailedError | again / ConnectionFailedError | again / letter unreachable
F27  certificate: unknown, wrong host, old  | CertificateError              | CertificateError              | CertificateError              | letter redirect
F28  TLS 1.1 at most                        | CertificateError              | CertificateError              | CertificateError              | letter redirect
F29  https to a port that speaks no TLS     | again / TimedOutError         | again / TimedOutError         | again / TimedOutError         | again / letter unreachable
F30  the consumer, or its disk, is slow     | ok~                           | ok~                           | -                             | ok~
F31  the consumer idles longer than `total` | ok~                           | ok~                           | ok~                           | ok~
F32  forty cut bodies in a row              | again / CutShortError 40      | again / CutShortError 40      | again / CutShortError 40      | again / letter unreachable 40
F33  cancelled before the head, in the body | cancelled                     | cancelled                     | cancelled                     | cancelled
"""

HTTP = """
F40  401                                    | again / AuthenticationError 2 | again / AuthenticationError 2 | again / AuthenticationError 2 | again / letter 401 2
F40b 401, and the token is refused by all   | AuthenticationError 2         | AuthenticationError 2         | AuthenticationError 2         | -
F41  403                                    | PermissionDeniedError         | PermissionDeniedError         | PermissionDeniedError         | letter 403
F42  404                                    | NotFoundError                 | NotFoundError                 | NotFoundError                 | letter 404
F43  404 on all of the sync                 | NotFoundError                 | NotFoundError                 | NotFoundError                 | -
F44  409                                    | ConflictError                 | ConflictError                 | ConflictError                 | letter 409
F45  the saved cursor is refused, 400       | BadRequestError               | BadRequestError               | IngestError                   | -
F45b the saved cursor is refused, 410       | NotFoundError                 | NotFoundError                 | NotFoundError                 | -
F47  413, 414                               | BadRequestError               | BadRequestError               | BadRequestError               | letter 413
F48  429: seconds, date, none, nonsense     | again / RateLimitError        | again / RateLimitError        | again / RateLimitError        | again / letter 429
F48b 429 for longer than anybody waits      | RateLimitError                | RateLimitError                | RateLimitError                | letter 429
F49  500                                    | again / ServerError           | again / ServerError           | again / ServerError           | again / letter 500
F49b 502, 503, 504                          | again / ServerError           | again / ServerError           | again / ServerError           | -
F49c 501                                    | ServerError                   | ServerError                   | ServerError                   | letter 501
F50  HTML and 200 instead of a page         | again / NotJsonError          | again / NotJsonError          | again / NotJsonError          | -
F51  HTML and 200 instead of a content      | ok                            | DownloadError                 | -                             | letter corrupt
F52  206 to whom asked for no range         | again / NotJsonError          | again / MalformedAnswerError  | again / NotJsonError          | again / letter unreachable
F52b cut, then 200 to a range               | -                             | again                         | -                             | again
F52c cut, then another range; cut, then 416 | -                             | again 3                       | -                             | again 3
F53  to a signed address on another host    | ok                            | ok                            | ok                            | ok
F54  redirects in a circle                  | RedirectRefusedError 6        | RedirectRefusedError 6        | RedirectRefusedError 6        | letter redirect 6
F55  to file:, ftp:, data:, no host, bad IPv6 | RedirectRefusedError        | RedirectRefusedError          | RedirectRefusedError          | letter redirect
F56  without or with an empty Location      | again / MalformedAnswerError  | again / MalformedAnswerError  | again / MalformedAnswerError  | again / letter unreachable
F57  into a private network                 | RedirectRefusedError          | RedirectRefusedError          | RedirectRefusedError          | letter redirect
F58  encodings nobody asked for             | again / MalformedAnswerError  | again / MalformedAnswerError  | again / MalformedAnswerError  | again / letter unreachable
F59  no gzip, a bad CRC, rubbish behind it  | again / MalformedAnswerError  | again / MalformedAnswerError  | again / MalformedAnswerError  | again / letter unreachable
F60  gzip is cut                            | again / CutShortError         | again / CutShortError         | again / CutShortError         | again / letter unreachable
F61  gzip with its own length               | ok                            | ok                            | ok                            | ok
"""

PAGES = """
F70  a null cursor while records remain     | StalledCursorError            | StalledCursorError            | StalledCursorError            | -
F70b no paging at all                       | short                         | short                         | short                         | -
F71  the cursor stands still, goes round    | StalledCursorError            | StalledCursorError            | StalledCursorError            | -
F72  an empty page while records remain     | again / short 3               | again / short 3               | again / short 3               | -
F73  records twice                          | twice                         | ok                            | ok                            | -
F74  an older version first                 | twice                         | ok                            | ok                            | -
F75  what remains grows                     | ok                            | ok                            | ok                            | -
F76  values of the wrong type               | DecodeError                   | DecodeError                   | DecodeError                   | -
F77  cut, junk behind it, no JSON, nothing  | again / NotJsonError          | again / NotJsonError          | again / NotJsonError          | -
F77b null                                   | DecodeError                   | DecodeError                   | DecodeError                   | -
F77c a byte order mark                      | ok                            | ok                            | ok                            | -
F78  no UTF-8                               | again / NotJsonError          | again / NotJsonError          | again / NotJsonError          | -
F78b another charset in the header          | ok                            | ok                            | ok                            | -
F79  NaN, Infinity                          | again / NotJsonError          | again / NotJsonError          | again / NotJsonError          | -
F80  a hundred thousand brackets            | again / NotJsonError          | again / NotJsonError          | again / NotJsonError          | -
F81  a page larger than any                 | DecodeError                   | DecodeError                   | DecodeError                   | -
F82  a page that unpacks to more            | DecodeError                   | DecodeError                   | DecodeError                   | -
F83  more bytes than the record promises    | ok                            | DownloadError                 | -                             | letter corrupt
F84  the sync is ERRORED                    | ok 0                          | ok 0                          | SyncFailedError               | -
"""

DISK = """
F90  disk full: at a write, at closing      | OSError~                      | DestinationError              | -                             | DestinationError~
F91  EROFS, EIO, EDQUOT, ESTALE             | OSError~                      | DestinationError              | -                             | DestinationError~
F91b EACCES                                 | PermissionError~              | DestinationError              | -                             | DestinationError~
F92  names that are paths                   | ok                            | ok                            | ok                            | -
F93  names too long                         | ok                            | ok                            | ok                            | -
F94  NUL in a name                          | ok                            | ok                            | ok                            | -
F95  control characters, direction marks    | ok                            | ok                            | ok                            | -
F96  names of devices, dots and blanks last | ok                            | ok                            | ok                            | -
F97  names that differ in case or form      | ok                            | ok                            | ok                            | -
F98  one name for all                       | ok                            | ok                            | ok                            | -
F99  a link in place of a file              | -                             | ok                            | SinkError 0                   | -
F99b a FIFO in place of a file              | -                             | DownloadError 0               | SinkError 0                   | -
F100 somebody else's file is there          | -                             | ok                            | SinkError 0                   | -
F101 parts of a killed run                  | -                             | ok                            | ok                            | -
"""

PROCESS = """
F114 another run holds the state            | -                             | -                             | StateHeldError 0              | -
F120 the client belongs to another loop     | ConfigurationError 0          | ConfigurationError 0          | ConfigurationError 0          | -
F122 the consumer leaves in the middle      | short~                        | short~                        | -                             | -
F124 this clock is a day ahead              | again                         | again                         | again                         | -
F125 everybody fails: the budget ends it    | ServerError 3                 | ServerError 3                 | ServerError 3                 | letter 503~
"""

# What fits no column, by the test that shows it.
ELSEWHERE = {
    "F46": "tests/test_syncs.py::test_enable_with_a_lost_answer_looks_before_it_repeats",
    "F85": "tests/test_quirks.py::test_30_a_sync_made_again_refuses_its_old_cursors",
    "F110": "tests/test_cli_signals.py::test_during_an_import",
    "F111": "tests/test_cli_signals.py::test_during_an_import",
    "F112": "tests/proofs/test_kill.py::test_killed_again_and_again_a_mirror_ends_equal_to_its_source",
    "F115": "tests/proofs/test_nth.py::test_whichever_statement_fails_the_next_run_completes",
    "F116": "tests/ingest/test_schema.py",
    "F117": "tests/proofs/test_nth.py::test_whichever_statement_fails_the_next_run_completes",
    "F123": "tests/proofs/test_cancel.py",
}


@attrs.frozen
class Row:
    """A fault, and the text of its cells by column."""

    id: str
    fault: str
    cells: dict


def _row(line):
    head, *cells = (part.strip() for part in line.split("|"))
    id_, fault = head.split(maxsplit=1)
    named = zip(COLUMNS, cells, strict=True)
    return Row(id_, fault, {column: text for column, text in named if text != "-"})


ROWS = [
    _row(line)
    for table in (TRANSPORT, HTTP, PAGES, DISK, PROCESS)
    for line in table.strip().splitlines()
]
