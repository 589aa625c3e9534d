package store

import (
	"database/sql"

	"trunkline/trunks/account"
)

const operationColumns = "id, org_id, user_id, key_id, kind, state, total, done, failed, created_ms, updated_ms, finished_ms"

func scanOperation(rows *sql.Rows) (o account.Operation, err error) {
	var created, updated int64
	var finished sql.NullInt64
	err = rows.Scan(&o.ID, &o.Org, &o.User, &o.Key, &o.Kind, &o.State, &o.Total, &o.Done, &o.Failed, &created, &updated, &finished)
	o.CreatedAt, o.UpdatedAt, o.FinishedAt = fromMS(created), fromMS(updated), fromNullMS(finished)
	return o, err
}

func (t *tx) Operations(org string) ([]account.Operation, error) {
	return many(t, scanOperation, "SELECT "+operationColumns+" FROM operations WHERE org_id = ? ORDER BY seq DESC LIMIT 1000", org)
}

func (t *tx) Operation(org, id string) (account.Operation, error) {
	return one(t, scanOperation, "SELECT "+operationColumns+" FROM operations WHERE org_id = ? AND id = ?", org, id)
}

func (t *tx) Unfinished() ([]account.Operation, error) {
	return many(t, scanOperation, "SELECT "+operationColumns+" FROM operations WHERE state = 'running' ORDER BY seq")
}

func (t *tx) OperationItems(operation string, state account.ItemState, limit int) ([]account.OperationItem, error) {
	query, args := "SELECT number_id, state, message FROM operation_items WHERE operation_id = ?", []any{operation}
	if state != "" {
		query, args = query+" AND state = ?", append(args, string(state))
	}
	return many(t, func(rows *sql.Rows) (i account.OperationItem, err error) {
		return i, rows.Scan(&i.Number, &i.State, &i.Message)
	}, query+" ORDER BY position LIMIT ?", append(args, limit)...)
}

func (t *tx) AddOperation(o account.Operation, numbers []int64) error {
	_, err := t.exec("INSERT INTO operations ("+operationColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		o.ID, o.Org, o.User, o.Key, o.Kind, string(o.State), o.Total, o.Done, o.Failed, ms(o.CreatedAt), ms(o.UpdatedAt), msOrNull(o.FinishedAt))
	if err != nil {
		return err
	}
	for i, number := range numbers {
		if _, err := t.exec("INSERT INTO operation_items (operation_id, position, number_id) VALUES (?, ?, ?)", o.ID, i, number); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) ChangeOperation(o *account.Operation) error {
	return t.change("operation", "UPDATE operations SET state = ?, done = ?, failed = ?, updated_ms = ?, finished_ms = ? WHERE id = ?",
		string(o.State), o.Done, o.Failed, ms(o.UpdatedAt), msOrNull(o.FinishedAt), o.ID)
}

func (t *tx) SetOperationItem(operation string, item account.OperationItem) error {
	return t.change("operation item", "UPDATE operation_items SET state = ?, message = ? WHERE operation_id = ? AND number_id = ?", string(item.State), item.Message, operation, item.Number)
}
