"""The tables and indexes, in the words that SQLite and PostgreSQL share. A frozen copy: the models go on, and
this file does not change once a version was released."""

from __future__ import annotations

from peewee import Database, PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

SCHEMA = """
CREATE TABLE tenant (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    language TEXT NOT NULL,
    languages TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    plan TEXT NOT NULL,
    country TEXT NOT NULL,
    wrapped_key TEXT NOT NULL,
    log_size BIGINT NOT NULL,
    log_epoch INTEGER NOT NULL DEFAULT 1,
    created_at TEXT NOT NULL
);

CREATE TABLE recording (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    line_id TEXT NOT NULL,
    number TEXT NOT NULL,
    direction TEXT NOT NULL,
    external_kind TEXT,
    external_value TEXT,
    internal_kind TEXT,
    internal_value TEXT,
    started_at TEXT NOT NULL,
    duration_ms INTEGER NOT NULL,
    announcement_id TEXT NOT NULL,
    announcement_version INTEGER NOT NULL,
    announced INTEGER NOT NULL,
    purposes TEXT NOT NULL,
    restricted TEXT NOT NULL,
    keep_answer TEXT,
    consented_until TEXT NOT NULL DEFAULT '{}',
    keep_until TEXT NOT NULL,
    prefix TEXT NOT NULL,
    manifest_sha256 TEXT NOT NULL,
    wrapped_key TEXT,
    objects TEXT NOT NULL,
    stored_bytes BIGINT NOT NULL,
    stored_at TEXT NOT NULL,
    erased_at TEXT,
    erasure_reason TEXT,
    import_sha256 TEXT,
    agreement TEXT,
    FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE RESTRICT
);
CREATE INDEX recording_tenant_id ON recording (tenant_id);
CREATE INDEX recording_keep_until ON recording (keep_until);
CREATE UNIQUE INDEX recording_prefix ON recording (prefix);
CREATE INDEX recording_import_sha256 ON recording (import_sha256);
CREATE INDEX recording_tenant_id_started_at_id ON recording (tenant_id, started_at, id);

CREATE TABLE amendment (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    recording_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    kind TEXT NOT NULL,
    at TEXT NOT NULL,
    by_kind TEXT NOT NULL,
    by_id TEXT,
    data TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    ended_by INTEGER,
    FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE RESTRICT,
    FOREIGN KEY (recording_id) REFERENCES recording (id) ON DELETE RESTRICT
);
CREATE INDEX amendment_tenant_id ON amendment (tenant_id);
CREATE INDEX amendment_recording_id ON amendment (recording_id);
CREATE UNIQUE INDEX amendment_recording_id_number ON amendment (recording_id, number);

CREATE TABLE sound (
    sha256 TEXT NOT NULL PRIMARY KEY,
    wav BLOB NOT NULL,
    duration_ms INTEGER NOT NULL,
    created_at TEXT NOT NULL
);

CREATE TABLE announcement (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    language TEXT NOT NULL,
    text TEXT NOT NULL,
    purposes TEXT NOT NULL,
    keep_days INTEGER NOT NULL,
    sound_sha256 TEXT NOT NULL,
    mode TEXT NOT NULL DEFAULT 'notice',
    question_text TEXT,
    question_sha256 TEXT,
    declined_text TEXT,
    declined_sha256 TEXT,
    composed TEXT,
    greeting_sha256 TEXT,
    created_at TEXT NOT NULL,
    FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE RESTRICT,
    FOREIGN KEY (sound_sha256) REFERENCES sound (sha256) ON DELETE RESTRICT,
    FOREIGN KEY (question_sha256) REFERENCES sound (sha256) ON DELETE RESTRICT,
    FOREIGN KEY (declined_sha256) REFERENCES sound (sha256) ON DELETE RESTRICT,
    FOREIGN KEY (greeting_sha256) REFERENCES sound (sha256) ON DELETE RESTRICT
);
CREATE INDEX announcement_tenant_id ON announcement (tenant_id);
CREATE INDEX announcement_sound_sha256 ON announcement (sound_sha256);
CREATE INDEX announcement_question_sha256 ON announcement (question_sha256);
CREATE INDEX announcement_declined_sha256 ON announcement (declined_sha256);
CREATE INDEX announcement_greeting_sha256 ON announcement (greeting_sha256);
CREATE UNIQUE INDEX announcement_tenant_id_name_version ON announcement (tenant_id, name, version);

CREATE TABLE api_token (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    token_sha256 TEXT NOT NULL,
    created_at TEXT NOT NULL,
    revoked_at TEXT,
    credential TEXT
);
CREATE INDEX api_token_tenant_id ON api_token (tenant_id);
CREATE UNIQUE INDEX api_token_token_sha256 ON api_token (token_sha256);

CREATE TABLE live_command (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    call_id TEXT NOT NULL,
    node TEXT NOT NULL,
    action TEXT NOT NULL,
    by_kind TEXT NOT NULL,
    by_id TEXT NOT NULL,
    requested_at TEXT NOT NULL,
    until TEXT NOT NULL,
    taken_at TEXT,
    outcome TEXT,
    answered_at TEXT,
    command TEXT
);
CREATE INDEX live_command_node_outcome ON live_command (node, outcome);

CREATE TABLE pending_amendment (
    recording_id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    since TEXT NOT NULL,
    FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE RESTRICT
);
CREATE INDEX pending_amendment_tenant_id ON pending_amendment (tenant_id);

CREATE TABLE log_checkpoint (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    size BIGINT NOT NULL,
    root TEXT NOT NULL,
    at TEXT NOT NULL,
    note TEXT NOT NULL,
    place TEXT NOT NULL,
    stored_at TEXT,
    stamped_at TEXT
);
CREATE UNIQUE INDEX log_checkpoint_tenant_id_number ON log_checkpoint (tenant_id, number);

CREATE TABLE lease (
    name TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    until TEXT NOT NULL
);
CREATE INDEX lease_until ON lease (until);

CREATE TABLE global_state (
    name TEXT NOT NULL PRIMARY KEY,
    data TEXT NOT NULL,
    since TEXT NOT NULL
);

CREATE TABLE erased_call (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    erased_at TEXT NOT NULL,
    note TEXT
);
CREATE INDEX erased_call_tenant_id_request_id ON erased_call (tenant_id, request_id);

CREATE TABLE user_account (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    login TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    language TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at TEXT NOT NULL,
    revoked_at TEXT,
    credential TEXT,
    lines TEXT,
    FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE RESTRICT
);
CREATE INDEX user_account_tenant_id ON user_account (tenant_id);
CREATE UNIQUE INDEX user_account_login ON user_account (login);

CREATE TABLE session (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    token_sha256 TEXT NOT NULL,
    created_at TEXT NOT NULL,
    seen_at TEXT NOT NULL,
    until TEXT NOT NULL,
    ended_at TEXT,
    device TEXT NOT NULL DEFAULT '',
    network TEXT NOT NULL DEFAULT '',
    FOREIGN KEY (user_id) REFERENCES user_account (id) ON DELETE CASCADE
);
CREATE INDEX session_user_id ON session (user_id);
CREATE UNIQUE INDEX session_token_sha256 ON session (token_sha256);
CREATE INDEX session_until ON session (until);

CREATE TABLE access_grant (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    session_id TEXT,
    recording_id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    manifest_sha256 TEXT NOT NULL,
    granted_at TEXT NOT NULL,
    until TEXT NOT NULL,
    ended_at TEXT,
    leaf BIGINT,
    renewals INTEGER,
    FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE RESTRICT,
    FOREIGN KEY (user_id) REFERENCES user_account (id) ON DELETE RESTRICT,
    FOREIGN KEY (session_id) REFERENCES session (id) ON DELETE SET NULL,
    FOREIGN KEY (recording_id) REFERENCES recording (id) ON DELETE RESTRICT
);
CREATE INDEX access_grant_tenant_id ON access_grant (tenant_id);
CREATE INDEX access_grant_user_id ON access_grant (user_id);
CREATE INDEX access_grant_session_id ON access_grant (session_id);
CREATE INDEX access_grant_recording_id ON access_grant (recording_id);
CREATE INDEX access_grant_until ON access_grant (until);
CREATE INDEX access_grant_user_id_granted_at ON access_grant (user_id, granted_at);

CREATE TABLE handover_recording (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    recording_id TEXT NOT NULL,
    omission TEXT,
    row_length INTEGER NOT NULL,
    at BIGINT NOT NULL,
    length BIGINT NOT NULL,
    files TEXT NOT NULL,
    sent_at TEXT
);
CREATE UNIQUE INDEX handover_recording_tenant_id_number ON handover_recording (tenant_id, number);
CREATE INDEX handover_recording_tenant_id_at ON handover_recording (tenant_id, at);

CREATE TABLE handover_fetch (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    leaf BIGINT NOT NULL
);
CREATE INDEX handover_fetch_tenant_id ON handover_fetch (tenant_id);

CREATE TABLE retention_limit (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    statement TEXT NOT NULL,
    leaf INTEGER,
    lifted TEXT,
    lifted_leaf INTEGER,
    applied_after TEXT,
    applied_at TEXT,
    FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE RESTRICT
);
CREATE INDEX retention_limit_tenant_id ON retention_limit (tenant_id);

CREATE TABLE offboarding (
    tenant_id TEXT NOT NULL PRIMARY KEY,
    announced_at TEXT NOT NULL,
    until TEXT NOT NULL,
    handover TEXT,
    log_size BIGINT,
    handed_at TEXT,
    layout TEXT,
    length BIGINT,
    erasing_since TEXT,
    offboarded_at TEXT,
    receipt TEXT
);

CREATE TABLE log_leaf (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    kind TEXT NOT NULL,
    at TEXT NOT NULL,
    recording_id TEXT,
    body TEXT,
    salt BLOB,
    leaf TEXT NOT NULL,
    leaf_hash TEXT NOT NULL,
    FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE RESTRICT
);
CREATE INDEX log_leaf_tenant_id ON log_leaf (tenant_id);
CREATE INDEX log_leaf_recording_id ON log_leaf (recording_id);
CREATE UNIQUE INDEX log_leaf_tenant_id_number ON log_leaf (tenant_id, number);
CREATE INDEX log_leaf_holds ON log_leaf (tenant_id, number)
WHERE kind IN ('holds.unconfirmed', 'holds.confirmed');
CREATE INDEX log_leaf_stated ON log_leaf (at) WHERE kind = 'dispute.stated';
CREATE INDEX log_leaf_decided ON log_leaf (tenant_id, kind, number)
WHERE kind IN ('announcement.created', 'retention_limit.lifted', 'retention_limit.set', 'line.created',
'line.ended', 'token.revoked', 'user.password_changed', 'user.revoked');

CREATE TABLE line (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    number TEXT NOT NULL,
    digits TEXT NOT NULL,
    label TEXT NOT NULL,
    mode TEXT NOT NULL,
    timing TEXT NOT NULL,
    formats TEXT NOT NULL,
    announcement_id TEXT NOT NULL,
    others TEXT NOT NULL DEFAULT '[]',
    menu_text TEXT,
    menu_sha256 TEXT,
    keep TEXT,
    deletable INTEGER NOT NULL DEFAULT 0,
    beep TEXT NOT NULL DEFAULT '',
    transfer_notice TEXT,
    outbound TEXT NOT NULL DEFAULT 'off',
    since TEXT NOT NULL,
    until TEXT,
    FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE RESTRICT,
    FOREIGN KEY (announcement_id) REFERENCES announcement (id) ON DELETE RESTRICT,
    FOREIGN KEY (menu_sha256) REFERENCES sound (sha256) ON DELETE RESTRICT
);
CREATE INDEX line_tenant_id ON line (tenant_id);
CREATE INDEX line_announcement_id ON line (announcement_id);
CREATE INDEX line_menu_sha256 ON line (menu_sha256);
CREATE UNIQUE INDEX line_digits_active ON line (digits) WHERE until IS NULL;

CREATE TABLE line_delete (
    id TEXT NOT NULL PRIMARY KEY,
    line_id TEXT NOT NULL,
    language TEXT NOT NULL,
    question_text TEXT NOT NULL,
    question_sha256 TEXT NOT NULL,
    deleted_text TEXT NOT NULL,
    deleted_sha256 TEXT NOT NULL,
    FOREIGN KEY (line_id) REFERENCES line (id) ON DELETE RESTRICT,
    FOREIGN KEY (question_sha256) REFERENCES sound (sha256) ON DELETE RESTRICT,
    FOREIGN KEY (deleted_sha256) REFERENCES sound (sha256) ON DELETE RESTRICT
);
CREATE INDEX line_delete_line_id ON line_delete (line_id);
CREATE INDEX line_delete_question_sha256 ON line_delete (question_sha256);
CREATE INDEX line_delete_deleted_sha256 ON line_delete (deleted_sha256);
CREATE UNIQUE INDEX line_delete_line_id_language ON line_delete (line_id, language);

CREATE TABLE line_keep (
    id TEXT NOT NULL PRIMARY KEY,
    line_id TEXT NOT NULL,
    language TEXT NOT NULL,
    question_text TEXT,
    question_sha256 TEXT,
    cue_text TEXT NOT NULL,
    cue_sha256 TEXT NOT NULL,
    yes_text TEXT NOT NULL,
    yes_sha256 TEXT NOT NULL,
    no_text TEXT NOT NULL,
    no_sha256 TEXT NOT NULL,
    none_text TEXT NOT NULL,
    none_sha256 TEXT NOT NULL,
    FOREIGN KEY (line_id) REFERENCES line (id) ON DELETE RESTRICT,
    FOREIGN KEY (question_sha256) REFERENCES sound (sha256) ON DELETE RESTRICT,
    FOREIGN KEY (cue_sha256) REFERENCES sound (sha256) ON DELETE RESTRICT,
    FOREIGN KEY (yes_sha256) REFERENCES sound (sha256) ON DELETE RESTRICT,
    FOREIGN KEY (no_sha256) REFERENCES sound (sha256) ON DELETE RESTRICT,
    FOREIGN KEY (none_sha256) REFERENCES sound (sha256) ON DELETE RESTRICT
);
CREATE INDEX line_keep_line_id ON line_keep (line_id);
CREATE INDEX line_keep_question_sha256 ON line_keep (question_sha256);
CREATE INDEX line_keep_cue_sha256 ON line_keep (cue_sha256);
CREATE INDEX line_keep_yes_sha256 ON line_keep (yes_sha256);
CREATE INDEX line_keep_no_sha256 ON line_keep (no_sha256);
CREATE INDEX line_keep_none_sha256 ON line_keep (none_sha256);
CREATE UNIQUE INDEX line_keep_line_id_language ON line_keep (line_id, language);

CREATE TABLE listen (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    grant_id TEXT NOT NULL,
    play TEXT NOT NULL,
    name TEXT NOT NULL,
    opened_at TEXT NOT NULL,
    sent_bytes BIGINT NOT NULL,
    last_sent_at TEXT NOT NULL,
    closed_at TEXT,
    listen_report TEXT,
    leaf BIGINT,
    FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE RESTRICT,
    FOREIGN KEY (grant_id) REFERENCES access_grant (id) ON DELETE RESTRICT
);
CREATE INDEX listen_tenant_id ON listen (tenant_id);
CREATE INDEX listen_grant_id ON listen (grant_id);
CREATE UNIQUE INDEX listen_play_open ON listen (grant_id, play) WHERE closed_at IS NULL;

CREATE TABLE live_call (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    node TEXT NOT NULL,
    line_id TEXT,
    number TEXT NOT NULL,
    direction TEXT NOT NULL,
    external_kind TEXT NOT NULL,
    external_value TEXT NOT NULL,
    started_at TEXT NOT NULL,
    announced INTEGER NOT NULL,
    paused_until TEXT,
    deletable INTEGER NOT NULL,
    seen_at TEXT NOT NULL
);
CREATE INDEX live_call_tenant_id ON live_call (tenant_id);
CREATE INDEX live_call_node ON live_call (node);

CREATE TABLE unrecorded_call (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT,
    line_id TEXT,
    number TEXT NOT NULL,
    direction TEXT NOT NULL,
    node TEXT NOT NULL,
    external_kind TEXT NOT NULL,
    external_value TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT NOT NULL,
    reason TEXT NOT NULL,
    quarantined_until TEXT,
    listed_at TEXT NOT NULL,
    FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE RESTRICT
);
CREATE INDEX unrecorded_call_tenant_id ON unrecorded_call (tenant_id);
CREATE INDEX unrecorded_call_tenant_id_started_at_id ON unrecorded_call (tenant_id, started_at, id);

CREATE TABLE subject_request (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    number TEXT NOT NULL,
    wants TEXT NOT NULL,
    language TEXT NOT NULL,
    received_on TEXT NOT NULL,
    due_on TEXT NOT NULL,
    entered_at TEXT NOT NULL,
    entered_kind TEXT NOT NULL,
    entered_by TEXT,
    extended_at TEXT,
    extension_reason TEXT,
    verified_at TEXT,
    verified_how TEXT,
    verified_by TEXT,
    verified_statement TEXT,
    closed_at TEXT,
    closed_how TEXT,
    exported_at TEXT,
    vouched_at TEXT,
    vouched_by TEXT,
    vouched_statement TEXT,
    number_salt TEXT,
    leaves TEXT
);
CREATE INDEX subject_request_tenant_id_due_on ON subject_request (tenant_id, due_on);

CREATE TABLE verification_code (
    id TEXT NOT NULL PRIMARY KEY,
    request_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    number TEXT NOT NULL,
    language TEXT NOT NULL,
    ordered_at TEXT NOT NULL,
    until TEXT NOT NULL,
    node TEXT,
    taken_at TEXT,
    code_hash TEXT,
    valid_until TEXT,
    tries INTEGER NOT NULL,
    outcome TEXT,
    leaves TEXT,
    FOREIGN KEY (request_id) REFERENCES subject_request (id) ON DELETE RESTRICT
);
CREATE INDEX verification_code_request_id ON verification_code (request_id);
CREATE INDEX verification_code_number ON verification_code (number);
CREATE INDEX verification_code_tenant_id_ordered_at ON verification_code (tenant_id, ordered_at);

CREATE TABLE request_review (
    id TEXT NOT NULL PRIMARY KEY,
    request_id TEXT NOT NULL,
    recording_id TEXT NOT NULL,
    given TEXT,
    withheld_reason TEXT,
    decided_at TEXT,
    decided_by TEXT,
    exported_at TEXT,
    erased_at TEXT,
    kept_reason TEXT,
    kept_until TEXT,
    disclosure TEXT,
    FOREIGN KEY (request_id) REFERENCES subject_request (id) ON DELETE RESTRICT
);
CREATE INDEX request_review_request_id ON request_review (request_id);
CREATE UNIQUE INDEX request_review_request_id_recording_id ON request_review (request_id, recording_id);

CREATE TABLE rebuild_queue (
    place TEXT NOT NULL PRIMARY KEY,
    names TEXT NOT NULL,
    recording_id TEXT NOT NULL,
    outcome TEXT,
    code TEXT,
    message TEXT
);
CREATE INDEX rebuild_queue_recording_id ON rebuild_queue (recording_id);
CREATE INDEX rebuild_queue_outcome ON rebuild_queue (outcome);

CREATE TABLE purpose (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    code TEXT NOT NULL,
    labels TEXT NOT NULL,
    legal_basis TEXT NOT NULL,
    longest_days INTEGER NOT NULL,
    roles TEXT NOT NULL,
    created_at TEXT NOT NULL,
    FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE RESTRICT
);
CREATE INDEX purpose_tenant_id ON purpose (tenant_id);
CREATE UNIQUE INDEX purpose_tenant_id_code ON purpose (tenant_id, code);

CREATE TABLE checkpoint_recipient (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    address TEXT NOT NULL,
    since TEXT NOT NULL,
    until TEXT,
    sent_at TEXT,
    sent_number INTEGER
);
CREATE INDEX checkpoint_recipient_tenant_id ON checkpoint_recipient (tenant_id);

CREATE TABLE change_counter (
    name TEXT NOT NULL PRIMARY KEY,
    number INTEGER NOT NULL
);
CREATE INDEX change_counter_number ON change_counter (number);

CREATE TABLE log_subtree (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    level INTEGER NOT NULL,
    number BIGINT NOT NULL,
    hash TEXT NOT NULL
);
CREATE UNIQUE INDEX log_subtree_tenant_id_level_number ON log_subtree (tenant_id, level, number);

CREATE TABLE throttle (
    key TEXT NOT NULL PRIMARY KEY,
    empty_ms BIGINT NOT NULL,
    known_until TEXT
);
CREATE INDEX throttle_empty_ms ON throttle (empty_ms);

CREATE TABLE outgoing_mail (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    about TEXT NOT NULL,
    kind TEXT NOT NULL,
    content TEXT NOT NULL,
    created_at TEXT NOT NULL,
    until TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_at TEXT NOT NULL,
    refused TEXT,
    send_from TEXT
);
CREATE INDEX outgoing_mail_tenant_id ON outgoing_mail (tenant_id);
CREATE INDEX outgoing_mail_until ON outgoing_mail (until);
CREATE INDEX outgoing_mail_next_at ON outgoing_mail (next_at);

CREATE TABLE invitation (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    address TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    lines TEXT,
    language TEXT NOT NULL,
    token_sha256 TEXT NOT NULL,
    statement TEXT,
    created_at TEXT NOT NULL,
    until TEXT NOT NULL,
    ended_at TEXT,
    outcome TEXT
);
CREATE INDEX invitation_tenant_id ON invitation (tenant_id);
CREATE UNIQUE INDEX invitation_token_sha256 ON invitation (token_sha256);

CREATE TABLE account_link (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    token_sha256 TEXT NOT NULL,
    until TEXT NOT NULL
);
CREATE INDEX account_link_tenant_id ON account_link (tenant_id);
CREATE INDEX account_link_until ON account_link (until);

CREATE INDEX log_leaf_team ON log_leaf (tenant_id, number)
    WHERE kind IN ('user.access_changed', 'user.login_changed', 'invitation.created', 'invitation.renewed',
        'invitation.withdrawn', 'invitation.accepted');

CREATE TABLE second_factor (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    statement TEXT NOT NULL,
    app_key TEXT
);
CREATE INDEX second_factor_tenant_id ON second_factor (tenant_id);

CREATE TABLE second_factor_use (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    counter BIGINT NOT NULL,
    used_at TEXT NOT NULL
);
CREATE INDEX second_factor_use_user_id ON second_factor_use (user_id);

CREATE TABLE second_factor_reset (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    statement TEXT NOT NULL,
    requested_at TEXT NOT NULL,
    ended_at TEXT
);
CREATE INDEX second_factor_reset_tenant_id ON second_factor_reset (tenant_id);

CREATE TABLE sign_in_rule (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    statement TEXT NOT NULL
);

CREATE INDEX log_leaf_sign_in ON log_leaf (tenant_id, kind, number)
WHERE kind IN ('tenant.sign_in_changed', 'user.factor_reset_ended', 'user.factors_changed');

CREATE TABLE usage_day (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    day TEXT NOT NULL,
    part INTEGER NOT NULL,
    time_zone TEXT NOT NULL,
    lines TEXT NOT NULL,
    calls INTEGER NOT NULL,
    duration_ms BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    until TEXT NOT NULL,
    through BIGINT NOT NULL,
    counted_at TEXT NOT NULL,
    FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE RESTRICT
);
CREATE UNIQUE INDEX usage_day_tenant_id_day_part ON usage_day (tenant_id, day, part);
CREATE INDEX usage_day_tenant_id_through ON usage_day (tenant_id, through);
CREATE INDEX log_leaf_tenant_id_at_number ON log_leaf (tenant_id, at, number);
CREATE INDEX log_leaf_tenant_id_kind_at_number ON log_leaf (tenant_id, kind, at, number);

CREATE TABLE line_draft (
    line_id TEXT NOT NULL PRIMARY KEY,
    settings TEXT NOT NULL,
    greeting BLOB,
    changed_at TEXT NOT NULL,
    changed_by TEXT NOT NULL,
    FOREIGN KEY (line_id) REFERENCES line (id) ON DELETE RESTRICT
);

CREATE INDEX log_leaf_line ON log_leaf (tenant_id, number)
WHERE kind IN ('line.created', 'line.changed', 'line.ended');

CREATE TABLE call_note (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    recording_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    at_ms INTEGER,
    text TEXT NOT NULL,
    created_at TEXT NOT NULL,
    edited_at TEXT,
    deleted_at TEXT,
    deleted_by TEXT,
    FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE RESTRICT,
    FOREIGN KEY (recording_id) REFERENCES recording (id) ON DELETE RESTRICT,
    FOREIGN KEY (user_id) REFERENCES user_account (id) ON DELETE RESTRICT
);
CREATE INDEX call_note_tenant_id ON call_note (tenant_id);
CREATE INDEX call_note_recording_id ON call_note (recording_id);
CREATE INDEX call_note_user_id ON call_note (user_id);
CREATE INDEX call_note_tenant_id_kind_text ON call_note (tenant_id, kind, text);

CREATE TABLE download_permission (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    statement TEXT NOT NULL
);
CREATE INDEX download_permission_tenant_id ON download_permission (tenant_id);

CREATE INDEX log_leaf_permission ON log_leaf (tenant_id, kind, number)
WHERE kind IN ('tenant.created', 'tenant.plan_changed', 'user.download_changed');

CREATE TABLE notification (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    cause TEXT NOT NULL,
    key TEXT NOT NULL,
    line_id TEXT,
    recording_id TEXT,
    data TEXT NOT NULL,
    since TEXT NOT NULL,
    ended_at TEXT,
    outcome TEXT,
    changed_at TEXT NOT NULL,
    mailed TEXT,
    mailed_at TEXT,
    FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE RESTRICT
);
CREATE INDEX notification_recording_id ON notification (recording_id);
CREATE UNIQUE INDEX notification_tenant_id_key ON notification (tenant_id, key);
CREATE INDEX notification_tenant_id_changed_at ON notification (tenant_id, changed_at);

CREATE TABLE notification_choice (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    choices TEXT NOT NULL,
    read_until TEXT,
    read_marks TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX notification_choice_tenant_id ON notification_choice (tenant_id);

CREATE TABLE number_proof (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    number TEXT NOT NULL,
    language TEXT NOT NULL,
    ordered_at TEXT NOT NULL,
    until TEXT NOT NULL,
    node TEXT,
    taken_at TEXT,
    code_hash TEXT,
    valid_until TEXT,
    tries INTEGER NOT NULL,
    outcome TEXT,
    leaves TEXT,
    number_salt TEXT NOT NULL,
    line_id TEXT
);
CREATE INDEX number_proof_number ON number_proof (number);
CREATE INDEX number_proof_tenant_id_ordered_at ON number_proof (tenant_id, ordered_at);

CREATE TABLE ended_call (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    node TEXT NOT NULL,
    line_id TEXT,
    number TEXT NOT NULL,
    direction TEXT NOT NULL,
    external_kind TEXT NOT NULL,
    external_value TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT NOT NULL,
    announced INTEGER NOT NULL,
    seen_at TEXT NOT NULL
);
CREATE INDEX ended_call_tenant_id ON ended_call (tenant_id);
CREATE INDEX ended_call_node ON ended_call (node);

CREATE TABLE node_report (
    node TEXT NOT NULL PRIMARY KEY,
    reported_at TEXT NOT NULL,
    watched_at TEXT,
    software TEXT NOT NULL,
    live INTEGER NOT NULL,
    backlog INTEGER NOT NULL,
    oldest_at TEXT,
    quarantine INTEGER NOT NULL,
    disk_size BIGINT NOT NULL,
    disk_free BIGINT NOT NULL
);

CREATE TABLE dispute_statement (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    dispute_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    statement TEXT NOT NULL
);
CREATE UNIQUE INDEX dispute_statement_dispute_id_number ON dispute_statement (dispute_id, number);

CREATE TABLE dispute (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    opened_at TEXT NOT NULL,
    settle_by TEXT NOT NULL,
    closed_at TEXT,
    final_at TEXT,
    page_token TEXT,
    page_sha256 TEXT,
    copied_beside TEXT
);
CREATE INDEX dispute_final_at ON dispute (final_at);
CREATE UNIQUE INDEX dispute_page_sha256 ON dispute (page_sha256);
CREATE INDEX dispute_copied_beside ON dispute (copied_beside);
CREATE INDEX dispute_tenant_id_closed_at_settle_by ON dispute (tenant_id, closed_at, settle_by);

CREATE TABLE dispute_recording (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    dispute_id TEXT NOT NULL,
    recording_id TEXT NOT NULL
);
CREATE INDEX dispute_recording_dispute_id ON dispute_recording (dispute_id);
CREATE INDEX dispute_recording_recording_id ON dispute_recording (recording_id);

CREATE TABLE dispute_guest (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    dispute_id TEXT NOT NULL,
    role TEXT NOT NULL,
    token_sha256 TEXT
);
CREATE INDEX dispute_guest_role ON dispute_guest (role);
CREATE INDEX dispute_guest_dispute_id ON dispute_guest (dispute_id);
CREATE UNIQUE INDEX dispute_guest_token_sha256 ON dispute_guest (token_sha256);

CREATE TABLE dispute_call (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    number TEXT NOT NULL,
    language TEXT NOT NULL,
    ordered_at TEXT NOT NULL,
    until TEXT NOT NULL,
    node TEXT,
    taken_at TEXT,
    code_hash TEXT,
    valid_until TEXT,
    tries INTEGER NOT NULL,
    outcome TEXT,
    leaves TEXT,
    dispute_id TEXT NOT NULL,
    guest_id TEXT NOT NULL,
    number_salt TEXT NOT NULL
);
CREATE INDEX dispute_call_number ON dispute_call (number);
CREATE INDEX dispute_call_guest_id ON dispute_call (guest_id);
CREATE INDEX dispute_call_tenant_id_ordered_at ON dispute_call (tenant_id, ordered_at);

CREATE TABLE room (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    recording_id TEXT NOT NULL,
    playing INTEGER NOT NULL,
    position_ms INTEGER NOT NULL,
    at_ms BIGINT NOT NULL,
    rate INTEGER NOT NULL,
    leader TEXT NOT NULL
);
CREATE INDEX room_tenant_id ON room (tenant_id);

CREATE TABLE room_member (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    room_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    seen_ms BIGINT NOT NULL,
    ready INTEGER NOT NULL
);
CREATE INDEX room_member_tenant_id ON room_member (tenant_id);
CREATE INDEX room_member_room_id ON room_member (room_id);
"""

ACTOR = (
    """CREATE INDEX log_leaf_actor ON log_leaf (tenant_id, """
    """(CASE WHEN {at}(body, '"actor":"') > 0 THEN substr(body, {at}(body, '"actor":"') + 9, 36) """
    """WHEN {at}(body, '"by":"') > 0 THEN substr(body, {at}(body, '"by":"') + 6, 36) """
    """WHEN {at}(body, '"user":"') > 0 THEN substr(body, {at}(body, '"user":"') + 8, 36) END), """
    """at, number, kind)"""
)
"""Who a leaf is about or by, for the access log."""


def up(migrator: SchemaMigrator, db: Database) -> None:
    is_postgresql = isinstance(db, PostgresqlDatabase)
    text = SCHEMA.replace("BLOB", "BYTEA") if is_postgresql else SCHEMA
    for statement in (*text.split(";"), ACTOR.format(at="strpos" if is_postgresql else "instr")):
        if statement.strip():
            db.execute_sql(statement)  # type: ignore[no-untyped-call]
