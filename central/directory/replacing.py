"""The page on which a lost card is replaced: the new one is given and the old one revoked in one step."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.sites import AdminSite
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path

from central.directory.enrolling import TYPED_FORMS, HeldError, read_typed, replace
from central.directory.models import Credential
from wire.credentials import CredentialError
from wire.vocabulary import CredentialKind

_TEMPLATE = "admin/directory/credential/replace.html"


class ReplacementForm(forms.Form):
    """The card that comes instead."""

    kind = forms.ChoiceField(choices=[(kind.value, kind.value) for kind in TYPED_FORMS])
    value = forms.CharField(max_length=3000, widget=forms.TextInput(attrs={"autocomplete": "off"}))

    def clean(self) -> dict[str, Any]:
        """Read the value."""
        cleaned = super().clean() or {}
        if cleaned.get("kind") and cleaned.get("value"):
            try:
                cleaned["canonical"] = read_typed(CredentialKind(cleaned["kind"]), cleaned["value"])
            except CredentialError as fault:
                self.add_error("value", str(fault))
        return cleaned


def urls(site: AdminSite) -> list[URLPattern]:
    """Return the address below that of a credential."""

    def view(request: HttpRequest, credential_id: UUID) -> HttpResponse:
        return _replace(site, request, credential_id)

    return [path("<uuid:credential_id>/replace/", site.admin_view(view), name="directory_credential_replace")]


def may_replace(request: HttpRequest) -> bool:
    """Whether this person may add one credential and revoke another."""
    return request.user.has_perms(["directory.add_credential", "directory.change_credential"])


def _replace(site: AdminSite, request: HttpRequest, credential_id: UUID) -> HttpResponse:
    if not may_replace(request):
        raise PermissionDenied
    lost = get_object_or_404(Credential.objects.select_related("member"), pk=credential_id)
    form = ReplacementForm(request.POST if request.method == "POST" else None, initial={"kind": lost.kind})
    if request.method == "POST" and form.is_valid():
        new = _replaced(request, lost, form)
        if new is not None:
            messages.success(request, f"{lost} is revoked; {lost.member} has {new} instead")
            return redirect("admin:directory_credential_change", new.pk)
    context = {
        **site.each_context(request),
        "title": "Replace a credential",
        "opts": Credential._meta,  # noqa: SLF001 - public by Django's documentation, whatever its name
        "credential": lost,
        "form": form,
    }
    return render(request, _TEMPLATE, context)


def _replaced(request: HttpRequest, lost: Credential, form: ReplacementForm) -> Credential | None:
    """Replace it and say so in the audit trail, in one transaction; None where somebody holds the new one."""
    assert request.user.pk is not None, "the administration asks for a login"
    try:
        with transaction.atomic():
            new = replace(lost, CredentialKind(form.cleaned_data["kind"]), form.cleaned_data["canonical"])
            LogEntry.objects.create(
                user_id=request.user.pk,
                content_type=ContentType.objects.get_for_model(Credential),
                object_id=str(lost.pk),
                object_repr=str(lost),
                action_flag=CHANGE,
                change_message=f"revoked and replaced by {new}",
            )
    except HeldError as held:
        form.add_error("value", str(held))
        return None
    return new
