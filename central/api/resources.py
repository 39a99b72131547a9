"""Every operation of the API, version 1."""

from typing import Final

from central.api import credentials, members
from central.api.bodies import (
    CardBody,
    CredentialAnswer,
    CredentialChange,
    CredentialPage,
    MemberAnswer,
    MemberChange,
    MemberPage,
    NewCredential,
    NewMember,
)
from central.api.models import Scope
from central.api.operations import Operation, Resource

_PAGE = ("limit", "after")
_MEMBERS: Final = (
    Operation(
        "GET", "List members", Scope.MEMBERS_READ, ("directory.view_member",), members.list_members,
        answers=MemberPage, parameters=(*_PAGE, "external_id", "site"),
    ),
    Operation(
        "POST", "Make a member", Scope.MEMBERS_WRITE, ("directory.add_member",), members.add_member,
        takes=NewMember, answers=MemberAnswer, status=201,
    ),
)  # fmt: skip
_MEMBER: Final = (
    Operation(
        "GET", "Read a member", Scope.MEMBERS_READ, ("directory.view_member",), members.get_member, answers=MemberAnswer
    ),
    Operation(
        "PATCH", "Change a member", Scope.MEMBERS_WRITE, ("directory.change_member",), members.change_member,
        takes=MemberChange, answers=MemberAnswer,
    ),
    Operation(
        "DELETE", "Delete a member without visits, and their credentials", Scope.MEMBERS_WRITE,
        ("directory.delete_member", "directory.delete_credential", "directory.delete_membership"),
        members.delete_member, status=204,
    ),
)  # fmt: skip
_CREDENTIALS: Final = (
    Operation(
        "GET", "List credentials", Scope.CREDENTIALS_READ, ("directory.view_credential",), credentials.list_credentials,
        answers=CredentialPage, parameters=(*_PAGE, "member"),
    ),
    Operation(
        "POST", "Give a member a credential", Scope.CREDENTIALS_WRITE, ("directory.add_credential",),
        credentials.add_credential, takes=NewCredential, answers=CredentialAnswer, status=201,
    ),
)  # fmt: skip
_CREDENTIAL: Final = (
    Operation(
        "GET", "Read a credential", Scope.CREDENTIALS_READ, ("directory.view_credential",), credentials.get_credential,
        answers=CredentialAnswer,
    ),
    Operation(
        "PATCH", "Revoke a credential, or give it back", Scope.CREDENTIALS_WRITE, ("directory.change_credential",),
        credentials.change_credential, takes=CredentialChange, answers=CredentialAnswer,
    ),
    Operation(
        "DELETE", "Delete a credential", Scope.CREDENTIALS_WRITE, ("directory.delete_credential",),
        credentials.delete_credential, status=204,
    ),
)  # fmt: skip
_REPLACEMENT: Final = (
    Operation(
        "POST", "Replace a credential: the new one is given and the old one revoked", Scope.CREDENTIALS_WRITE,
        ("directory.add_credential", "directory.change_credential"),
        credentials.replace_credential, takes=CardBody, answers=CredentialAnswer,
        status=201,
    ),
)  # fmt: skip

RESOURCES: Final = (
    Resource("members", _MEMBERS),
    Resource("members/{id}", _MEMBER),
    Resource("credentials", _CREDENTIALS),
    Resource("credentials/{id}", _CREDENTIAL),
    Resource("credentials/{id}/replacement", _REPLACEMENT),
)
