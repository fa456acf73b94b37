"""The map of the security rules: each of S1 to S22 of failures.md has tests, and these are they.

A test in this folder opens with the rule that it proves, `S7: ...`. Tests elsewhere that prove one, or a
part of one, stand in the table. A test that is renamed or removed is missed here.
"""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
RULES = [f"S{n}" for n in range(1, 23)]
ELSEWHERE = {
    "S1": {
        "test_names.py": ["test_always_harmless", "test_known_names", "test_arrange_survives_circles"],
        "test_download.py": ["test_names_in_a_folder", "test_links_are_replaced_not_followed"],
        "ingest/test_folder.py": ["test_odd_ids_stay_inside", "test_a_link_in_place_of_a_folder", "test_put_refuses_a_link",
                                  "test_remove_does_not_follow_a_link", "test_move_does_not_follow_a_link"],
        "emulator/test_service.py": ["test_links_out_of_the_folder", "test_a_file_that_becomes_a_link"],
    },
    "S2": {
        "test_download.py": ["test_modes"], "webhooks/test_inbox.py": ["test_nobody_else_reads_it"],
        "webhooks/test_secret_file.py": ["test_it_is_made_once"], "emulator/test_state.py": ["test_only_the_owner_may_read_it"],
    },
    "S3": {
        "test_redirects.py": ["test_refused", "test_private_from_private"],
        "test_session.py": ["test_redirects_and_the_token", "test_refused_redirects"],
    },
    "S5": {"test_session.py": ["test_proxies_of_the_environment_are_not_used"]},
    "S6": {
        "test_auth.py": ["test_secrets_stay"], "test_client.py": ["test_shows_no_secret"],
        "test_channel.py": ["test_quoted_tokens_are_struck_out", "test_no_secret_in_logs"], "test_wire.py": ["test_redaction"],
        "emulator/test_hooks.py": ["test_secrets_are_not_shown"], "webhooks/test_receiver.py": ["test_another_access_log"],
        "security/test_canaries.py": ["test_a_leak_fails_its_test", "test_a_leak_that_is_kept_fails_the_session"],
    },
    "S7": {"test_wire.py": ["test_status_to_error", "test_request_id_and_code"]},
    "S8": {"test_auth.py": ["test_claims", "test_bad_keys", "test_forms_of_a_key", "test_learns_the_service_clock",
                            "test_a_rejected_token_is_replaced_once", "test_kept_per_user_and_renewed_before_the_end"]},
    "S9": {"test_channel.py": ["test_a_source_is_told_once"]},
    "S10": {"test_session.py": ["test_untrusted_certificate", "test_plain_port_for_https"]},
    "S11": {
        "webhooks/test_receiver.py": ["test_wrong_secret", "test_rotation", "test_verifiers"],
        "webhooks/test_receiver_trouble.py": ["test_only_true_is_believed"],
        "webhooks/test_verify.py": ["test_standard_webhooks_that_prove_nothing", "test_standard_webhooks_and_time"],
        "ingest/test_follow.py": ["test_only_events_of_the_feed_wake", "test_a_forged_delete_is_asked_for_and_not_believed"],
    },
    "S12": {
        "ingest/test_follow.py": ["test_a_flood_of_events_is_a_few_pulls"], "webhooks/test_receiver.py": ["test_flood"],
    },
    "S13": {
        "webhooks/test_events.py": ["test_the_size_is_bounded", "test_the_depth_is_bounded"],
        "webhooks/test_inbox.py": ["test_capacity", "test_limit"], "webhooks/test_inbox_trouble.py": ["test_capacity_in_bytes"],
        "webhooks/test_receiver_trouble.py": ["test_a_flood_of_connections"], "test_gunzip.py": ["test_members_are_counted"],
        "test_session.py": ["test_too_large_an_answer"],
    },
    "S14": {"webhooks/test_receiver.py": ["test_access_log"], "webhooks/test_receiver_trouble.py": ["test_logs_that_quote"]},
    "S15": {"emulator/test_admin.py": ["test_no_page_from_elsewhere"], "test_client.py": ["test_wrong_key_and_wrong_project"]},
    "S17": {
        "ingest/test_schema.py": ["test_a_wrong_state_is_named_and_left_alone", "test_every_page_flipped"],
        "webhooks/test_inbox.py": ["test_a_wrong_file"], "emulator/test_state.py": ["test_files_that_are_no_state"],
    },
    "S18": {
        "test_logs.py": ["test_the_variable_shows_all_parts_and_no_escapes"], "test_cli.py": ["test_errors_leave_as_a_sentence"],
        "test_cli_webhooks.py": ["test_on_a_terminal"],
    },
    "S19": {"test_packaging.py": ["test_exceptions_carry_their_reason"]},
    "S20": {"test_packaging.py": ["test_wheel_and_sdist"]},
    "S21": {
        "test_client.py": ["test_many_users_stay_apart"], "ingest/test_state.py": ["test_a_destination_takes_one_sync"],
        "ingest/test_many.py": ["test_each_mirror_equals_its_source"],
    },
    "S22": {"test_permissions.py": ["test_an_error_denies", "test_a_missing_answer_denies", "test_answers_without_echo_count_by_position"]},
}  # fmt: skip


@functools.cache
def found_in(path):
    """Return the tests of a file, each with the first line of what it says of itself."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
            "test_"
        ):
            found[node.name] = ast.get_docstring(node) or ""
    return found


def here(rule):
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        for name, says in found_in(path).items():
            if says.startswith(f"{rule}:"):
                yield f"{path.name}::{name}"


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_its_tests(rule):
    """Each rule is named by a test in this folder, and the tests elsewhere that count for it exist."""
    assert list(here(rule))
    for file, names in ELSEWHERE.get(rule, {}).items():
        assert set(names) <= set(found_in(TESTS / file)), file


def test_every_test_here_names_a_rule():
    """No test in this folder, but those of the map itself, is without the rule that it is for."""
    for path in Path(__file__).parent.glob("test_*.py"):
        for name, says in found_in(path).items():
            known = re.match(r"(S[0-9]+|R17): ", says)
            assert path == Path(__file__) or (known and known[1] in {*RULES, "R17"}), name
