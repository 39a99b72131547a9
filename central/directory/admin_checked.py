"""Pages that save only what makes sense to the doors: the whole book is checked with the change in it.

A page saves the thing and its parts, then the site's book is loaded as a door would load it. Where the loader refuses,
everything is taken back and the page shows its reasons.
"""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse

from central.directory import book
from central.directory.models_base import Versioned
from rules.book import BookError

_NAMED = 5


class CheckedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The page of something that is part of a book.

    `keeps` names the relations by which it keeps groups and memberships to itself, and the list that says so there: an
    empty one restricts nobody, so the last of it is not deleted.
    """

    keeps: tuple[tuple[str, str], ...] = ()

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the form again, as it was filled in, where the book refuses what was saved."""
        try:
            with transaction.atomic():
                return super().changeform_view(request, object_id, form_url, extra_context)
        except BookError as refused:
            request.book_problems = refused.problems  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)

    def get_form(self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any) -> Any:
        """Return a form that repeats what the book's loader said."""
        problems = getattr(request, "book_problems", ())
        base = super().get_form(request, obj, change, **kwargs)
        return base if not problems else type(base.__name__, (_Refused, base), {"problems": problems})

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save the parts, then check the book; raise BookError."""
        super().save_related(request, form, formsets, change)
        book.check(form.instance.sites_told())

    def missed_by(self, _thing: Any) -> str:
        """Return who would miss something beyond what the book and the database know; empty for nobody."""
        return ""

    def delete_model(self, request: HttpRequest, obj: Versioned) -> None:
        """Delete, unless the book needs it; raise BookError."""
        with transaction.atomic():
            self._refuse_missed([obj])
            sites, kept = list(obj.sites_told()), self._kept_by([obj])
            super().delete_model(request, obj)
            _refuse_freed(kept)
            book.check(sites)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Delete all of them, unless the book needs one; raise BookError."""
        with transaction.atomic():
            self._refuse_missed(queryset)
            sites, kept = {site for thing in queryset for site in thing.sites_told()}, self._kept_by(queryset)
            super().delete_queryset(request, queryset)
            _refuse_freed(kept)
            book.check(sites)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Say why something stays."""
        try:
            with transaction.atomic():
                return super().delete_view(request, object_id, extra_context)
        except BookError as refused:
            return self._kept(request, refused)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Say why something stays where several were to be deleted."""
        try:
            with transaction.atomic():
                return super().changelist_view(request, extra_context)
        except BookError as refused:
            return self._kept(request, refused)

    def _refuse_missed(self, things: Iterable[Any]) -> None:
        missed = [said for thing in things if (said := self.missed_by(thing))]
        if missed:
            raise BookError(missed)

    def _kept_by(self, things: Iterable[Any]) -> list[tuple[Any, str]]:
        """Return whom these things keep to themselves, and by which list. Where there is a plan a list adds to it."""
        return [
            (one, listed)
            for thing in things
            for relation, listed in self.keeps
            for one in getattr(thing, relation).all()
            if getattr(one, "plan_id", None) is None
        ]

    def _kept(self, request: HttpRequest, refused: BookError) -> HttpResponse:
        messages.error(request, f"Nothing was deleted: {refused}")
        return self.response_post_save_change(request, None)


def _refuse_freed(kept: Iterable[tuple[Any, str]]) -> None:
    freed = sorted({f"{one} would have no {listed} left, and be free of them" for one, listed in kept
                    if not getattr(one, listed).exists()})  # fmt: skip
    if freed:
        raise BookError([*freed[:_NAMED], *([f"and {len(freed) - _NAMED} more"] if len(freed) > _NAMED else [])])


class _Refused(forms.ModelForm):  # type: ignore[type-arg]
    """A form whose thing the book refused."""

    problems: tuple[str, ...] = ()

    def clean(self) -> dict[str, Any]:
        """Repeat the reasons, one each."""
        cleaned = super().clean() or {}
        for problem in self.problems:
            self.add_error(None, problem)
        return cleaned
