"""Operations on users and sessions."""

from gateway.administration import users as acts
from gateway.administration.passwords import NewPasswords
from gateway.administration.views import SessionView, UserView
from gateway.control.admin.bodies import Page, Revoked, UserChange, UserCreation
from gateway.control.admin.errors import ApiError, FieldProblem
from gateway.control.admin.operation import Call, Operation, Query, page_of
from gateway.store.errors import NotFound

__all__ = ["People"]


class People:
    """Users and sessions."""

    def __init__(self, passwords: NewPasswords) -> None:
        self._passwords = passwords

    def operations(self) -> list[Operation]:
        """Their rows of the table."""
        users, user = "/api/v1/users", "/api/v1/users/{name}"
        sessions, session = "/api/v1/sessions", "/api/v1/sessions/{name}"
        of_user = Query("user", "Only those of this user: id or address.")
        return [
            Operation("GET", users, "listUsers", "List users.", "viewer", self.list_users,
                      Page[UserView], paged=True),
            Operation("POST", users, "createUser", "Add a user.", "admin", self.create_user,
                      UserView, UserCreation, 201),
            Operation("GET", user, "getUser", "Show a user, by id or address.", "viewer",
                      self.get_user, UserView),
            Operation("PATCH", user, "changeUser", "Change a user.", "admin", self.change_user,
                      UserView, UserChange, conditional=True),
            Operation("DELETE", user, "deleteUser", "Remove a user with all keys and sessions.",
                      "admin", self.delete_user, status=204, conditional=True),
            Operation("DELETE", f"{user}/sessions", "revokeSessionsOfUser",
                      "Log a user out everywhere.", "operator", self.revoke_sessions, Revoked),
            Operation("GET", sessions, "listSessions", "List sessions.", "viewer",
                      self.list_sessions, Page[SessionView], query=[of_user], paged=True),
            Operation("GET", session, "getSession", "Show a session.", "viewer",
                      self.get_session, SessionView),
            Operation("DELETE", session, "revokeSession", "Log out one session.", "operator",
                      self.revoke_session, status=204),
        ]  # fmt: skip

    async def list_users(self, call: Call) -> Page[UserView]:
        """In the order of their addresses."""
        after = call.query("after") or ""
        users = call.desk.store.users
        return await page_of(
            call, lambda limit: users.list(after, limit), acts.user_view, lambda user: user.email
        )

    async def create_user(self, call: Call) -> UserView:
        """The password is checked against the rules and hashed off the loop."""
        body: UserCreation = call.body
        hashed = await self._hashed(body.password)
        return await acts.create_user(call.desk, body.email, hashed, body.scopes)

    async def get_user(self, call: Call) -> UserView:
        """By id or address."""
        return acts.user_view(await acts.user_of(call.desk, call.name))

    async def change_user(self, call: Call) -> UserView:
        """Scopes, password, disabled."""
        body: UserChange = call.body
        changes = given(body)
        if "password" in changes:
            changes["password_hash"] = await self._hashed(str(changes.pop("password")))
        return await acts.change_user(call.desk, call.name, call.expected, **changes)

    async def delete_user(self, call: Call) -> None:
        """With keys; sessions are revoked."""
        await acts.delete_user(call.desk, call.name, call.expected)

    async def revoke_sessions(self, call: Call) -> Revoked:
        """All of one user."""
        return Revoked(revoked=await acts.revoke_sessions_of(call.desk, call.name))

    async def list_sessions(self, call: Call) -> Page[SessionView]:
        """In the order of their ids."""
        owner = call.query("user")
        user_id = (await acts.user_of(call.desk, owner)).id if owner else None
        after = call.query("after") or ""
        sessions = call.desk.store.sessions
        return await page_of(
            call,
            lambda limit: sessions.list(user_id, after, limit),
            acts.session_view,
            lambda session: session.id,
        )

    async def get_session(self, call: Call) -> SessionView:
        """By id."""
        session = await call.desk.store.sessions.by_id(call.name)
        if session is None:
            raise NotFound(f"there is no session {call.name}")
        return acts.session_view(session)

    async def revoke_session(self, call: Call) -> None:
        """By id."""
        await acts.revoke_session(call.desk, call.name)

    async def _hashed(self, password: str) -> str:
        if missing := self._passwords.missing(password):
            problems = [FieldProblem(field="password", problem=text) for text in missing]
            raise ApiError("invalid", "the password does not keep the rules", problems)
        return await self._passwords.hash(password)


def given(body: UserChange) -> dict[str, object]:
    """The fields that the client has sent."""
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    refuse_empty(changes)
    return changes


def refuse_empty(changes: dict[str, object], nullable: frozenset[str] = frozenset()) -> None:
    """A change names at least one field, and null only where that means something."""
    if not changes:
        raise ApiError("invalid", "there is nothing to change: name at least one field")
    problems = [
        FieldProblem(field=name, problem="must not be null")
        for name, value in changes.items()
        if value is None and name not in nullable
    ]
    if problems:
        raise ApiError("invalid", "the body is not valid", problems)
