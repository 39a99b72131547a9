"""API keys for staff: made and revoked, never changed; a key is shown once."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from central.api import keys
from central.api.models import ApiKey, Scope


class ApiKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    """A key to be made."""

    scopes = forms.MultipleChoiceField(
        choices=[(scope.value, scope.value) for scope in Scope], widget=forms.CheckboxSelectMultiple
    )

    class Meta:
        model = ApiKey
        fields = ["name", "owner", "scopes", "expires_at"]


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Keys of other systems."""

    form = ApiKeyForm
    fields = ["name", "owner", "scopes", "expires_at"]
    list_display = ["name", "id", "owner", "scope_list", "last_used_at", "expires_at", "revoked_at"]
    list_filter = [("revoked_at", admin.EmptyFieldListFilter)]
    actions = ["revoke"]

    @admin.display(description="scopes")
    def scope_list(self, key: ApiKey) -> str:
        """The scopes in one line."""
        return ", ".join(key.scopes)

    def has_change_permission(self, _request: HttpRequest, _obj: ApiKey | None = None) -> bool:
        """A key stays what it was made."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: ApiKey | None = None) -> bool:
        """Revoked keys stay, as the audit trail names them."""
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Whoever may change keys may revoke them."""
        return request.user.has_perm("api.change_apikey")

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer nobody but oneself to those who are no administrators: a key has its owner's permissions."""
        if db_field.name == "owner" and not request.user.is_superuser:
            kwargs["queryset"] = User.objects.filter(username=request.user.get_username())
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: ApiKeyForm, _change: bool) -> None:
        """Make the key and show it once."""
        chosen = form.cleaned_data
        scopes = [Scope(scope) for scope in chosen["scopes"]]
        key, row = keys.issue(chosen["name"], chosen["owner"], scopes, expires_at=chosen["expires_at"])
        obj.pk, obj.created_at = row.pk, row.created_at
        messages.warning(request, f"{row}: {key} (copy it now, it is not shown again)")

    @admin.action(description="Revoke: refuse this key from now on", permissions=["revoke"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[ApiKey]) -> None:
        """Refuse the chosen keys from now on."""
        for key in chosen.filter(revoked_at=None):
            self.log_change(request, key, "revoked")
        chosen.filter(revoked_at=None).update(revoked_at=timezone.now())
