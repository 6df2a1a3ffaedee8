{{ parsed_events(source('external', 'listen_events_ext')) }}
