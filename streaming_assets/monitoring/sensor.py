"""The sensor that looks each minute and tells people what came, what lasts and what healed."""

import time

import dagster as dg

from streaming_assets.monitoring.alerts import Memory, Unsent, decide, title
from streaming_assets.monitoring.conditions import conditions
from streaming_assets.monitoring.observing import observe
from streaming_assets.monitoring.rules import read_rules
from streaming_assets.settings import Settings

INTERVAL_SECONDS = 60
SENDING_SECONDS = 30.0  # of a tick, which Dagster gives a minute


def build_alert_sensor(settings: Settings) -> dg.SensorDefinition:
    """Tells what is wrong to the addresses of the settings; off where there is none."""
    addresses_given = settings.monitoring.alert_addresses.get_secret_value()

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING if addresses_given else dg.DefaultSensorStatus.STOPPED,
        description="Tells people what is wrong, once, and once when it healed (docs/operations.md). Off while "
        "STREAMING_ASSETS_ALERT_ADDRESSES is empty. It asks for no runs.",
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        from streaming_assets.monitoring.sending import addresses_of  # half a second, which no run needs

        addresses = addresses_of(addresses_given)
        if not addresses:
            return dg.SkipReason("STREAMING_ASSETS_ALERT_ADDRESSES has no address")
        rules = read_rules(settings.monitoring.alert_rules)
        seen = observe(settings, rules, context.instance)
        memory, entries = decide(
            Memory.from_json(context.cursor),
            conditions(seen, rules, settings),
            seen,
            rules,
            settings.pages_url,
        )
        unsent: dict[str, Unsent] = {}
        until = time.monotonic() + SENDING_SECONDS
        for address in addresses:
            waiting = memory.unsent.get(address.key, Unsent()).with_more(entries)
            if not waiting.entries:
                continue
            why = "no time was left" if time.monotonic() > until else None
            why = why or address.send(title(waiting.entries), waiting.body())
            if why:
                context.log.error(f"Not sent to {address.name}, and tried again at the next tick: {why}")
                unsent[address.key] = waiting
        context.update_cursor(Memory(memory.lasting, unsent).to_json())
        told = f"{len(entries)} told" if entries else "Nothing to tell"
        return dg.SkipReason(
            f"{told}, {len(memory.lasting)} conditions last, {len(unsent)} addresses wait for messages"
        )

    return alerts
