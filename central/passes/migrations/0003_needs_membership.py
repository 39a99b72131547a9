from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('passes', '0002_used'),
    ]

    operations = [
        migrations.AddField(
            model_name='pass',
            name='needs_membership',
            field=models.BooleanField(default=True, editable=False),
        ),
    ]
