"""Django's administration, its lists in groups of our own instead of one for each app."""

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest

from central.office.groups import GROUPS, Grouped


class OfficeSite(AdminSite):
    """Shows each member of staff the lists that they may see, in our groups; a list of no group comes last."""

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Return the groups; of one app, as its own page wants it, its lists as Django has them."""
        apps = super().get_app_list(request, app_label)
        if app_label is not None:
            return apps
        lists = {f"{app['app_label']}.{model['object_name']}": model for app in apps for model in app["models"]}
        grouped = [_shown(group, lists) for group in GROUPS]
        others = {"name": "Other", "app_label": "other", "says": "", "models": list(lists.values())}
        return [group for group in (*grouped, others) if group["models"]]


def _shown(group: Grouped, lists: dict[str, Any]) -> dict[str, Any]:
    """Return a group as the template has it; its lists are taken out of `lists`."""
    models = [
        found | {"name": each.name or found["name"], "says": each.says}
        for each in group.lists
        if (found := lists.pop(each.model, None)) is not None
    ]
    return {"name": group.name, "app_label": group.name.lower().replace(" ", "-"), "says": group.says, "models": models}
