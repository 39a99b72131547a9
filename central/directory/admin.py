"""Members and their credentials for staff. A credential's value is typed once and shown masked from then on."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern

from central.directory import replacing
from central.directory.admin_fresh import FreshForm
from central.directory.admin_memberships import MembershipInline
from central.directory.enrolling import fill, holder_of, read_typed
from central.directory.importing import pages
from central.directory.models import Credential, Member, Membership, VisitPack
from central.directory.models_rules import choices
from central.directory.words import KIND_LABELS
from central.parts import alike
from wire.credentials import CredentialError
from wire.vocabulary import CredentialKind, Right

_HELP = (
    "Card: UID in hex, such as 04 A1 5B C2 D3 E4 E6. EM4100: 10 hex or 13 decimal digits. HID: facility code and "
    "number, such as 118-01603. QR: the text of the code."
)


def warn(request: HttpRequest, member: Member) -> None:
    """Say that a member's credentials open nothing, where no membership names a site."""
    if member.credentials.exists() and not Membership.objects.filter(member=member).exists():
        messages.warning(request, f"{member}: no membership: opens no door")


@admin.display(description="kind", ordering="kind")
def kind_label(credential: Credential) -> str:
    """What staff call a kind of credential."""
    return KIND_LABELS[CredentialKind(credential.kind)]


class MemberForm(FreshForm):
    """A member, the rights as boxes to tick."""

    rights = forms.MultipleChoiceField(
        choices=choices(Right),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="What the member may do beyond passing",
    )

    class Meta:
        model = Member
        fields = "__all__"


class CredentialForm(forms.ModelForm):  # type: ignore[type-arg]
    """A credential; its kind and value are given once and cannot be changed after."""

    value = forms.CharField(max_length=3000, help_text=_HELP, widget=forms.TextInput(attrs={"autocomplete": "off"}))

    class Meta:
        model = Credential
        fields = ["member", "kind", "is_revoked"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "kind" in self.fields:
            offered = [("", "---------"), *((kind.value, label) for kind, label in KIND_LABELS.items())]
            self.fields["kind"].widget.choices = offered
        if not self.instance._state.adding:  # noqa: SLF001 - public by Django's documentation, whatever its name
            self.fields.pop("value", None)

    def clean(self) -> dict[str, Any]:
        """Read the value, and refuse one that somebody holds, naming the holder."""
        cleaned = super().clean() or {}
        kind, typed = cleaned.get("kind"), cleaned.get("value")
        if not kind or not typed:
            return cleaned
        try:
            canonical = read_typed(CredentialKind(kind), typed)
        except CredentialError as fault:
            raise ValidationError({"value": str(fault)}) from fault
        holder = holder_of(CredentialKind(kind), canonical)
        if holder is not None:
            detail = f"{holder.full_name} holds this credential already; delete it there before giving it to another"
            raise ValidationError({"value": detail})
        try:
            alike.check(self._sites(cleaned), CredentialKind(kind), canonical)
        except alike.AlikeError as fault:
            raise ValidationError({"value": str(fault)}) from fault
        fill(self.instance, CredentialKind(kind), canonical)
        return cleaned

    def _sites(self, cleaned: dict[str, Any]) -> list[UUID]:
        member = cleaned.get("member") or Member.objects.filter(pk=self.instance.member_id).first()
        return [] if member is None else list(member.sites_told())


class CredentialPageForm(FreshForm, CredentialForm):
    """The form on a credential's own page."""


class CredentialFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]
    """The credentials entered on a member's page."""

    def clean(self) -> None:
        """Refuse one that is entered twice."""
        super().clean()
        entered = [form.instance.fingerprint for form in self.forms if form.has_changed() and form.is_valid()]
        if len(set(entered)) < len(entered):
            raise ValidationError("One credential is entered twice")


class PackInline(admin.TabularInline):  # type: ignore[type-arg]
    """The packs of visits that a member bought."""

    model = VisitPack
    extra = 0


class HeldInline(admin.TabularInline):  # type: ignore[type-arg]
    """The credentials that a member has: they can be revoked or deleted."""

    model = Credential
    verbose_name_plural = "credentials"
    fields = ["hint", "kind_label", "is_revoked"]
    readonly_fields = ["hint", "kind_label"]
    max_num = 0

    @admin.display(description="kind")
    def kind_label(self, credential: Credential) -> str:
        """What staff call its kind."""
        return kind_label(credential)


class NewInline(admin.TabularInline):  # type: ignore[type-arg]
    """Credentials to be added to a member."""

    model = Credential
    form = CredentialForm
    formset = CredentialFormSet
    verbose_name_plural = "new credentials"
    fields = ["kind", "value"]
    extra = 1

    def get_queryset(self, request: HttpRequest) -> QuerySet[Credential]:
        """Leave out what is there already."""
        return super().get_queryset(request).none()


@admin.register(Member)
class MemberAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Members, with their sites and credentials."""

    form = MemberForm
    fieldsets = [
        (None, {"fields": ["full_name", "external_id", "is_active", "valid_from", "valid_to", "is_blocked", "seen"]}),
        ("Payment", {"fields": ["paid_to", "grace_days"], "classes": ["collapse"]}),
        ("Whose passage it is", {
            "fields": ["holder", "is_minor", "guardians", "host"], "classes": ["collapse"],
        }),
        ("Rights", {"fields": ["rights", "clearance"], "classes": ["collapse"]}),
    ]  # fmt: skip
    autocomplete_fields = ["guardians", "host"]
    inlines = [MembershipInline, PackInline, HeldInline, NewInline]
    list_display = ["full_name", "sites_and_plans", "holder", "is_active", "is_blocked", "valid_from", "valid_to"]
    list_filter = ["is_active", "is_blocked", "holder", "sites"]
    search_fields = ["full_name", "external_id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Member]:
        """Bring what the list shows of each in a query for all."""
        found: QuerySet[Member] = super().get_queryset(request)
        return found.prefetch_related("memberships__site", "memberships__plan", "credentials")

    def get_list_display(self, request: HttpRequest) -> Any:
        """Show cards, masked, to those who may see them."""
        name, sites, *others = self.list_display
        may_see = any(request.user.has_perm(f"directory.{act}_credential") for act in ("view", "change"))
        return [name, sites, *(["cards"] if may_see else []), *others]

    @admin.display(description="site: plan")
    def sites_and_plans(self, member: Member) -> str:
        """Where they may go, and on which plan."""
        memberships = sorted(member.memberships.all(), key=lambda each: each.site.name)
        return "; ".join(f"{each.site}: {each.plan.name}" if each.plan else str(each.site) for each in memberships)

    @admin.display(description="card")
    def cards(self, member: Member) -> str:
        """Their cards and codes that are not revoked, masked."""
        good = (card for card in member.credentials.all() if not card.is_revoked)
        return ", ".join(card.hint.replace(" ", "\N{NO-BREAK SPACE}") for card in good)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Say after the save that a member with a credential and no membership opens nothing."""
        super().save_related(request, form, formsets, change)
        warn(request, form.instance)

    def get_urls(self) -> list[URLPattern]:
        """Add the pages of the import."""
        return [*pages.urls(self.admin_site), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Offer the import to those who may import."""
        return super().changelist_view(request, {**(extra_context or {}), "may_import": pages.may_import(request)})


@admin.register(Credential)
class CredentialAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Credentials."""

    form = CredentialPageForm
    list_display = ["hint", kind_label, "member", "is_revoked", "created_at"]
    list_filter = ["kind", "is_revoked"]
    list_select_related = ["member"]
    search_fields = ["member__full_name"]
    autocomplete_fields = ["member"]

    def get_urls(self) -> list[URLPattern]:
        """Add the page on which a card is replaced."""
        return [*replacing.urls(self.admin_site), *super().get_urls()]

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Offer the replacement to those who may replace."""
        context["may_replace"] = replacing.may_replace(request)
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Credential, form: Any, change: bool) -> None:
        """Say after the save that a credential opens nothing where its member has no membership."""
        super().save_model(request, obj, form, change)
        warn(request, obj.member)

    def get_readonly_fields(self, _request: HttpRequest, obj: Credential | None = None) -> Any:
        """What was enrolled stays as it is, but for the revocation."""
        return [] if obj is None else ["hint", "member", kind_label]

    def get_fields(self, _request: HttpRequest, obj: Credential | None = None) -> Any:
        """Ask for the value once."""
        return ["member", "kind", "value"] if obj is None else ["hint", "member", kind_label, "is_revoked", "seen"]
