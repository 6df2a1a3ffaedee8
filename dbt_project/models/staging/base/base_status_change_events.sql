{{ parsed_events(source('external', 'status_change_events_ext')) }}
