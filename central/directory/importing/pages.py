"""The import in the administration: upload, see what it would do, then apply it.

Who may import may add and change members as well as credentials. The entry in the audit trail names the file, its
digest and the counts.
"""

from typing import Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.admin.sites import AdminSite
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from central.directory.importing import drafts
from central.directory.importing.running import Report, import_members
from central.directory.importing.sheet import MAX_BYTES
from central.directory.importing.wanted import COLUMNS
from central.directory.models import Member

NEEDED: Final = tuple(f"directory.{verb}_{model}" for model in ("member", "credential") for verb in ("add", "change"))
_MOST_SHOWN: Final = 200
_TEMPLATE: Final = "admin/directory/member/import.html"
_LIST: Final = "admin:directory_member_changelist"


class UploadForm(forms.Form):
    """The file."""

    file = forms.FileField(label="CSV file", widget=forms.ClearableFileInput(attrs={"accept": ".csv,text/csv"}))

    def clean_file(self) -> "UploadedFile[bytes]":
        """Refuse what is too large before it is read."""
        file: UploadedFile[bytes] = self.cleaned_data["file"]
        if (file.size or 0) > MAX_BYTES:
            raise forms.ValidationError(f"The file has {file.size} bytes; split it into parts of up to {MAX_BYTES}.")
        return file


def urls(site: AdminSite) -> list[URLPattern]:
    """Return the addresses below the list of members."""
    guard = site.admin_view
    return [
        path("import/", guard(_Pages(site).upload), name="directory_member_import"),
        path("import/<uuid:draft_id>/", guard(_Pages(site).apply), name="directory_member_import_apply"),
    ]


def may_import(request: HttpRequest) -> bool:
    """Whether this person may import."""
    return all(request.user.has_perm(needed) for needed in NEEDED)


class _Pages:
    def __init__(self, site: AdminSite) -> None:
        self._site = site

    def upload(self, request: HttpRequest) -> HttpResponse:
        """Ask for a file; say what it would do, or what is wrong with it."""
        _guard(request)
        if request.method != "POST":
            return self._page(request, form=UploadForm())
        form = UploadForm(request.POST, request.FILES)
        if not form.is_valid():
            return self._page(request, form=form)
        file: UploadedFile[bytes] = form.cleaned_data["file"]
        data, name = file.read(), file.name or "file"
        report = import_members(data, is_dry_run=True)
        draft = None if report.faults else drafts.keep(_user_id(request), name, data, timezone.now())
        return self._page(request, form=UploadForm(), report=report, name=name, draft=draft)

    def apply(self, request: HttpRequest, draft_id: UUID) -> HttpResponse:
        """Apply a file that was checked; it is checked once more, as others may have made changes since."""
        _guard(request)
        taken = drafts.take(_user_id(request), draft_id, timezone.now()) if request.method == "POST" else None
        if taken is None:
            messages.error(request, "This file is no longer here; upload it again.")
            return redirect("admin:directory_member_import")
        name, data = taken
        report = import_members(data, is_dry_run=False)
        if report.faults:
            return self._page(request, form=UploadForm(), report=report, name=name)
        LogEntry.objects.create(
            user_id=_user_id(request),
            content_type=ContentType.objects.get_for_model(Member),
            object_repr=f"import of {name}"[:200],
            action_flag=ADDITION,
            change_message=f"SHA-256 {report.digest}: {report.counts}",
        )
        messages.success(request, f"Applied {name}: {report.counts}.")
        return redirect(_LIST)

    def _page(self, request: HttpRequest, **context: object) -> HttpResponse:
        report = context.get("report")
        faults = report.faults if isinstance(report, Report) else []
        shared = {
            **self._site.each_context(request),
            "title": "Import members and credentials",
            "opts": Member._meta,  # noqa: SLF001 - public by Django's documentation, whatever its name
            "columns": COLUMNS,
            "list_url": reverse(_LIST),
            "faults": faults[:_MOST_SHOWN],
            "faults_left": max(0, len(faults) - _MOST_SHOWN),
            "counts": report.counts if isinstance(report, Report) else "",
        }
        return render(request, _TEMPLATE, {**shared, **context}, status=400 if faults else 200)


def _user_id(request: HttpRequest) -> int:
    assert request.user.pk is not None, "the administration asks for a login"
    return request.user.pk


def _guard(request: HttpRequest) -> None:
    if not may_import(request):
        raise PermissionDenied
