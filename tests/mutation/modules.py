"""The modules that decide about destruction, retention, access and disclosure, with their nearest tests."""

from __future__ import annotations

_SEAL = (
    "tests/unit/seal/test_usage_terms.py",
    "tests/unit/seal/test_amendment.py",
    "tests/unit/seal/test_manifest.py",
    "tests/unit/seal/test_signed_rows.py",
)
_LIMITS = ("tests/unit/lifecycle/test_limits.py", "tests/unit/playback/test_signed_limits.py")
_EXPIRY = (
    "tests/unit/lifecycle/test_expiry.py",
    "tests/unit/lifecycle/test_erasure_receipt.py",
    "tests/unit/disputes/test_deferrals.py",
)
_AMENDMENTS = (
    "tests/unit/lifecycle/test_amendment_service.py",
    "tests/unit/lifecycle/test_expiry.py",
    "tests/unit/lifecycle/test_recordings.py",
    "tests/unit/recovery/test_amendments.py",
    "tests/unit/disputes/test_deferrals.py",
    "tests/unit/playback/test_amendments.py",
    "tests/unit/playback/test_revocation.py",
)
_HOLDS = ("tests/unit/recovery/test_hold_review.py", "tests/unit/lifecycle/test_expiry.py")
_GATE = (
    "tests/unit/playback/test_alterations.py",
    "tests/unit/playback/test_amendments.py",
    "tests/unit/playback/test_clock.py",
    "tests/unit/playback/test_consent.py",
    "tests/unit/playback/test_downloads.py",
    "tests/unit/playback/test_gate.py",
    "tests/unit/playback/test_grants.py",
    "tests/unit/playback/test_guests.py",
    "tests/unit/playback/test_playback_report.py",
    "tests/unit/playback/test_revocation.py",
    "tests/unit/disputes/test_deferrals.py",
    "tests/unit/disputes/test_helpers.py",
)
_REQUESTS = (
    "tests/unit/catalogue/test_subject_requests.py",
    "tests/unit/web/test_subject_requests.py",
    "tests/unit/web/test_forged_subject_requests.py",
)
_DISPUTES = (
    "tests/unit/disputes/test_admissions.py",
    "tests/unit/disputes/test_erasure.py",
    "tests/unit/disputes/test_helpers.py",
    "tests/unit/disputes/test_outcomes.py",
    "tests/unit/disputes/test_rules.py",
    "tests/unit/disputes/test_service.py",
)
_OFFBOARDING = (
    "tests/unit/offboarding/test_duty.py",
    "tests/unit/offboarding/test_erased_rows.py",
    "tests/unit/offboarding/test_erasure.py",
    "tests/unit/offboarding/test_handover.py",
    "tests/unit/offboarding/test_signed_statements.py",
    "tests/unit/offboarding/test_unsigned_rows.py",
)
TESTS: dict[str, tuple[str, ...]] = {
    "recorder/seal/usage_terms.py": _SEAL,
    "recorder/seal/amendment_chain.py": _SEAL,
    "recorder/seal/retention_limit.py": _SEAL,
    "recorder/seal/revocation.py": (
        "tests/unit/seal/test_revocation.py",
        "tests/unit/seal/test_signed_rows.py",
    ),
    "recorder/seal/signed_document.py": _SEAL,
    "recorder/lifecycle/limits.py": _LIMITS,
    "recorder/lifecycle/retention_limits.py": _LIMITS,
    "recorder/lifecycle/limit_application.py": _LIMITS,
    "recorder/lifecycle/amendments.py": _AMENDMENTS,
    "recorder/lifecycle/clock_guard.py": ("tests/unit/lifecycle/test_clock_guard.py",),
    "recorder/lifecycle/departure.py": ("tests/unit/lifecycle/test_departure.py",),
    "recorder/lifecycle/dispute_erasure.py": (
        "tests/unit/disputes/test_erasure.py",
        "tests/unit/disputes/test_outcomes.py",
        "tests/unit/offboarding/test_erasure.py",
    ),
    "recorder/lifecycle/erasure_deadline.py": ("tests/unit/lifecycle/test_erasure_receipt.py",),
    "recorder/lifecycle/erased_recording.py": _EXPIRY,
    "recorder/lifecycle/expired_recording.py": _EXPIRY,
    "recorder/lifecycle/erasure_order.py": (
        "tests/unit/disputes/test_erasure.py",
        "tests/unit/offboarding/test_erased_rows.py",
        "tests/unit/offboarding/test_signed_statements.py",
    ),
    "recorder/lifecycle/expiry.py": _EXPIRY,
    "recorder/lifecycle/hold_review.py": _HOLDS,
    "recorder/lifecycle/quarantined_take.py": _EXPIRY,
    "recorder/lifecycle/statements.py": (
        "tests/unit/lifecycle/test_statements.py",
        "tests/unit/offboarding/test_signed_statements.py",
    ),
    "recorder/playback/authorization.py": _GATE,
    "recorder/playback/gate.py": _GATE,
    "recorder/playback/purposes.py": ("tests/unit/playback/test_purposes.py",),
    "recorder/playback/verified_recording.py": _GATE,
    "recorder/features/disputes/admissions.py": _DISPUTES,
    "recorder/features/disputes/erasure.py": _DISPUTES,
    "recorder/features/disputes/outcomes.py": _DISPUTES,
    "recorder/features/disputes/rules.py": (
        "tests/unit/disputes/test_authority_orders.py",
        "tests/unit/disputes/test_rules.py",
    ),
    "recorder/features/disputes/texts.py": ("tests/unit/disputes/test_texts.py",),
    "recorder/features/offboarding/duty.py": _OFFBOARDING,
    "recorder/features/offboarding/queries.py": _OFFBOARDING,
    "recorder/features/recovery/dump.py": ("tests/unit/recovery/test_backup.py",),
    "recorder/features/subject_requests/personal_copy.py": ("tests/unit/playback/test_personal_copy.py",),
    "recorder/features/subject_requests/queries.py": ("tests/unit/catalogue/test_subject_requests.py",),
    "recorder/features/subject_requests/service.py": _REQUESTS,
    "recorder/features/tenants/rules.py": ("tests/unit/catalogue/test_line_rules.py",),
    "recorder/identity/download_permission.py": ("tests/unit/playback/test_downloads.py",),
    "recorder/identity/second_factors.py": (
        "tests/unit/catalogue/test_factor_service.py",
        "tests/unit/web/test_factor_rules.py",
        "tests/unit/web/test_passkeys.py",
        "tests/unit/web/test_second_factor.py",
    ),
    "recorder/identity/throttle.py": ("tests/unit/catalogue/test_throttle.py",),
    "recorder/identity/users.py": (
        "tests/unit/catalogue/test_user_access.py",
        "tests/unit/catalogue/test_users.py",
    ),
    "recorder/auditlog/append.py": ("tests/unit/auditlog/test_append.py",),
    "recorder/auditlog/complete_log.py": ("tests/unit/auditlog/test_complete_log.py",),
    "recorder/auditlog/leaf_erasure.py": ("tests/unit/auditlog/test_append.py",),
    "recorder/auditlog/signed_setting.py": ("tests/unit/auditlog/test_signed_setting.py",),
    "recorder/capture/conferences.py": (
        "tests/unit/capture/test_conferences.py",
        "tests/unit/capture/test_third_parties.py",
    ),
}
