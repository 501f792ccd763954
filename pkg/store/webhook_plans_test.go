package store_test

// receiving are the statements that keep what webhooks bring, and those that work it off.
func receiving() map[string]plan {
	delivery := arguments{
		"receiver_uid": "r-1", "receiver": "receiver-1", "delivery_id": "d-201", "body_hash": "hash-201", "type": "github", "event": "push", "headers": "{}",
		"body": "body", "repository": "repository-1", "namespaces": "{}", "namespace": "ns-1", "token": "t", "status": "Done", "outcome": "Built", "attempts": "1", "delay": "1 s",
	}
	receiver := arguments{"receiver_uid": "r-1", "path": "path", "type": "github", "spec": "{}", "generation": "2", "suspended": "false", "existing": "{r-1}", "namespaces": "{}"}
	return map[string]plan{
		"PutReceiver":       {pages: one, arguments: receiver},
		"ForgetReceivers":   {pages: all, arguments: receiver},
		"Receivers":         {pages: all, arguments: receiver},
		"ReceiversByPath":   {pages: one},
		"NoteSecret":        {pages: one, arguments: joined(receiver, arguments{"reason": "SecretNotFound", "problem": "it does not exist"})},
		"AddDelivery":       {pages: one, arguments: joined(delivery, arguments{"delivery_id": "new", "body_hash": "new"})},
		"RepeatDelivery":    {pages: one, arguments: delivery},
		"ClaimDeliveries":   {pages: 1000, arguments: joined(delivery, arguments{"most": "8"})},
		"ClaimNextDelivery": {pages: one, arguments: delivery},
		"FinishDelivery":    {pages: one, arguments: delivery},
		"RetryDelivery":     {pages: one, arguments: delivery},
		"ReleaseDeliveries": {pages: 1000},
		"OpenDeliveries":    {pages: 1000, arguments: delivery},
		"Redeliver":         {pages: one, arguments: delivery},
		"ViewDeliveries":    {pages: all, arguments: joined(delivery, arguments{"failed": "false"})},
		"ViewDelivery":      {pages: one, arguments: delivery},
		"PruneDeliveries":   {pages: all, arguments: delivery},
	}
}
