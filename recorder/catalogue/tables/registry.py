"""All tables of the catalogue. A command that reads a few of them does not import the others."""

from __future__ import annotations

from typing import Final

from recorder.catalogue.database import Table
from recorder.catalogue.tables.amendment import AmendmentTable, PendingAmendmentTable
from recorder.catalogue.tables.announcement import AnnouncementTable, PurposeTable, SoundTable
from recorder.catalogue.tables.audit_log import CheckpointTable, LeafTable, RecipientTable, SubtreeTable
from recorder.catalogue.tables.branding import BrandingTable
from recorder.catalogue.tables.change_counter import ChangeCounterTable
from recorder.catalogue.tables.contact import ContactTable
from recorder.catalogue.tables.dispute import (
    DisputeGuestTable,
    DisputeNewsTable,
    DisputeRecordingTable,
    DisputeStatementTable,
    DisputeTable,
    RoomCodeTable,
)
from recorder.catalogue.tables.doctor_report import DoctorReportTable
from recorder.catalogue.tables.download_permission import DownloadPermissionTable
from recorder.catalogue.tables.extension import ExtensionTable
from recorder.catalogue.tables.grant import GrantTable, ListenTable
from recorder.catalogue.tables.identity import (
    AccountLinkTable,
    ApiTokenTable,
    InvitationTable,
    SessionTable,
    UserTable,
)
from recorder.catalogue.tables.lease import LeaseTable
from recorder.catalogue.tables.line import (
    LineDeleteOptionTable,
    LineDraftTable,
    LineKeepOptionTable,
    LineTable,
)
from recorder.catalogue.tables.listed_call import (
    ListedCallTable,
    ListedColleagueTable,
    ListedLineTable,
    ListedPartyTable,
    PartySuffixTable,
)
from recorder.catalogue.tables.live_call import EndedCallTable, LiveCallTable, LiveCommandTable
from recorder.catalogue.tables.node_report import NodeReportTable
from recorder.catalogue.tables.note import NoteTable
from recorder.catalogue.tables.notification import NotificationChoiceTable, NotificationTable
from recorder.catalogue.tables.offboarding import HandedRecordingTable, HandoverFetchTable, OffboardingTable
from recorder.catalogue.tables.outgoing_mail import OutgoingMailTable
from recorder.catalogue.tables.own_call import OwnCallTable
from recorder.catalogue.tables.rebuild_progress import GlobalStateTable, QueuedPlaceTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.catalogue.tables.retention_limit import RetentionLimitTable
from recorder.catalogue.tables.room import RoomMemberTable, RoomTable
from recorder.catalogue.tables.saved_filter import SavedFilterTable
from recorder.catalogue.tables.second_factor import (
    FactorResetTable,
    FactorUseTable,
    SecondFactorTable,
    SignInRuleTable,
)
from recorder.catalogue.tables.subject_request import ErasedCallTable, ReviewTable, SubjectRequestTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.catalogue.tables.throttle import ThrottleTable
from recorder.catalogue.tables.usage import UsageTable
from recorder.catalogue.tables.verification_call import VerificationCallTable

TABLES: Final[tuple[type[Table], ...]] = (
    TenantTable,
    UserTable,
    SessionTable,
    SoundTable,
    PurposeTable,
    AnnouncementTable,
    LineTable,
    LineDeleteOptionTable,
    LineKeepOptionTable,
    LineDraftTable,
    RecordingTable,
    NotRecordedTable,
    GrantTable,
    ListenTable,
    LeafTable,
    AmendmentTable,
    RetentionLimitTable,
    ChangeCounterTable,
    PendingAmendmentTable,
    GlobalStateTable,
    QueuedPlaceTable,
    LeaseTable,
    LiveCallTable,
    EndedCallTable,
    LiveCommandTable,
    ApiTokenTable,
    SubtreeTable,
    CheckpointTable,
    RecipientTable,
    SubjectRequestTable,
    VerificationCallTable,
    ReviewTable,
    ErasedCallTable,
    OffboardingTable,
    HandedRecordingTable,
    ThrottleTable,
    HandoverFetchTable,
    ListedCallTable,
    ListedColleagueTable,
    ListedLineTable,
    ListedPartyTable,
    PartySuffixTable,
    SavedFilterTable,
    OutgoingMailTable,
    SecondFactorTable,
    FactorUseTable,
    SignInRuleTable,
    FactorResetTable,
    InvitationTable,
    AccountLinkTable,
    UsageTable,
    NodeReportTable,
    DoctorReportTable,
    NoteTable,
    ContactTable,
    ExtensionTable,
    NotificationTable,
    NotificationChoiceTable,
    DownloadPermissionTable,
    OwnCallTable,
    DisputeStatementTable,
    DisputeTable,
    DisputeRecordingTable,
    DisputeGuestTable,
    RoomCodeTable,
    DisputeNewsTable,
    RoomTable,
    RoomMemberTable,
    BrandingTable,
)
"""A backup has them in this order: each row comes after those that it refers to."""
