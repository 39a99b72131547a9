from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('devices', '0004_keys'),
    ]

    operations = [
        migrations.AddField(
            model_name='command',
            name='boot',
            field=models.CharField(blank=True, editable=False, max_length=32),
        ),
        migrations.AddField(
            model_name='command',
            name='mono_ms',
            field=models.BigIntegerField(default=0, editable=False),
        ),
    ]
