"""What the notifier serves over HTTP: unsubscribe pages for subscribers, callbacks for WebSub hubs."""
