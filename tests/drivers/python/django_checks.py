"""Django with its default settings, behind a pooler in transaction mode with a few servers.

Where to connect comes from the environment, as libpq reads it.
"""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import django
from django.conf import settings

#: Threads of a crowd: more than there are servers.
CROWD = 8

settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": os.environ["PGDATABASE"],
            "CONN_MAX_AGE": None,
        }
    },
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    TIME_ZONE="Asia/Tokyo",
    USE_TZ=True,
)
django.setup()

from django.contrib.auth.models import Group, Permission, User  # noqa: E402, after the settings
from django.core.management import call_command  # noqa: E402
from django.db import IntegrityError, connection, models, transaction  # noqa: E402
from django.db.models.functions import Concat  # noqa: E402
from django.utils import timezone  # noqa: E402

from checks import check, expect, run  # noqa: E402


class Note(models.Model):
    text = models.TextField()
    data = models.JSONField(default=dict)
    made = models.DateTimeField(default=timezone.now)
    amount = models.DecimalField(max_digits=20, decimal_places=4, default=0)

    class Meta:
        app_label = "notes"


def one(sql, *values):
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchone()[0]


@check
def migrates():
    """its own migrations, twice"""
    call_command("migrate", verbosity=0)
    call_command("migrate", verbosity=0)
    expect(Permission.objects.count() > 0, True)
    with connection.schema_editor() as editor:
        editor.create_model(Note)
    expect("notes_note" in connection.introspection.table_names(), True)


@check
def keeps_its_time_zone():
    """the time zone of the connection on whatever server"""
    expect(one("SHOW TimeZone"), "UTC")
    moment = timezone.now()
    note = Note.objects.create(text="a", made=moment)
    expect(Note.objects.get(pk=note.pk).made, moment)
    expect(Note.objects.filter(made__date=timezone.localdate(moment)).count(), 1)


@check
def maps_objects():
    """objects: many at once, related ones, updates, JSON, aggregates"""
    Note.objects.bulk_create([Note(text=f"{n}", data={"n": n}, amount=n) for n in range(1000)])
    expect(Note.objects.filter(data__n__gte=990).count(), 10)
    expect(Note.objects.aggregate(models.Sum("amount"))["amount__sum"], 499_500)
    Note.objects.filter(data__n=5).update(text=Concat("text", models.Value("!")))
    group = Group.objects.create(name="readers")
    group.permissions.set(Permission.objects.all()[:3])
    user = User.objects.create_user("ann", password="secret")
    user.groups.add(group)
    expect(len(User.objects.prefetch_related("groups__permissions").get(pk=user.pk).get_all_permissions()), 3)
    expect(User.objects.get_or_create(username="ann")[1], False)


@check
def nests_transactions():
    """atomic blocks, savepoints, and locks"""
    with transaction.atomic():
        Group.objects.create(name="one")
        try:
            with transaction.atomic():
                Group.objects.create(name="one")
            raise AssertionError("a duplicate was taken")
        except IntegrityError:
            pass
        locked = Group.objects.select_for_update().get(name="one")
        locked.name = "two"
        locked.save()
    expect(Group.objects.filter(name="two").count(), 1)
    done = []
    with transaction.atomic():
        transaction.on_commit(lambda: done.append(1))
    expect(done, [1])


@check
def reads_server_side_cursors():
    """rows by portions, in a transaction and (WITH HOLD) outside"""
    with transaction.atomic():
        expect(sum(1 for _ in Note.objects.iterator(chunk_size=100)), 1001)
    expect(sum(1 for _ in Note.objects.iterator(chunk_size=100)), 1001)
    # Given up in the middle.
    for _ in Note.objects.iterator(chunk_size=100):
        break
    expect(Note.objects.count(), 1001)


@check
def serves_a_crowd():
    """more threads than servers, each with a connection and transactions of its own"""
    servers, lock = set(), threading.Lock()

    def work(seed):
        try:
            for turn in range(20):
                with transaction.atomic():
                    own = one("SELECT pg_backend_pid()")
                    Note.objects.create(text=f"{seed} {turn}")
                    expect(Note.objects.filter(text=f"{seed} {turn}").count(), 1)
                    expect(one("SELECT pg_backend_pid()"), own)
                expect(one("SHOW TimeZone"), "UTC")
                with lock:
                    servers.add(own)
        finally:
            connection.close()

    with ThreadPoolExecutor(CROWD) as pool:
        list(pool.map(work, range(CROWD)))
    expect(Note.objects.count(), 1001 + 20 * CROWD)
    expect(len(servers) > 1, True)


if __name__ == "__main__":
    run(f"Django {django.get_version()}")
