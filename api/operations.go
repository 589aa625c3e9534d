package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"trunkline/trunks/account"
)

// operationBody is long work with its progress.
type operationBody struct {
	ID         string `json:"id"`
	Kind       string `json:"kind"`
	State      string `json:"state" enum:"running,done,cancelled,failed"`
	Total      int    `json:"total"`
	Done       int    `json:"done" doc:"How many came to an end, the failed ones too."`
	Failed     int    `json:"failed"`
	CreatedAt  stamp  `json:"created_at"`
	UpdatedAt  stamp  `json:"updated_at"`
	FinishedAt *stamp `json:"finished_at" nullable:"true"`
}

func operationOf(o account.Operation) operationBody {
	return operationBody{ID: o.ID, Kind: o.Kind, State: string(o.State), Total: o.Total, Done: o.Done, Failed: o.Failed,
		CreatedAt: stamp(o.CreatedAt), UpdatedAt: stamp(o.UpdatedAt), FinishedAt: stampOrNil(o.FinishedAt)}
}

func (d *door) addOperations() {
	tags := []string{"Operations"}
	type byID struct {
		ID string `path:"id" maxLength:"64"`
	}
	register(d, huma.Operation{OperationID: "list-operations", Method: http.MethodGet, Path: "/v1/operations", Tags: tags,
		Summary: "List long work, newest first"}, rules{},
		func(ctx context.Context, who account.Caller, _ *struct{}) (*answer[[]operationBody], error) {
			all, err := d.accounts.Operations(ctx, who)
			return &answer[[]operationBody]{mapped(all, operationOf)}, err
		})
	register(d, huma.Operation{OperationID: "get-operation", Method: http.MethodGet, Path: "/v1/operations/{id}", Tags: tags,
		Summary: "Show the progress of long work"}, rules{},
		func(ctx context.Context, who account.Caller, in *byID) (*answer[operationBody], error) {
			o, err := d.accounts.Operation(ctx, who, in.ID)
			return &answer[operationBody]{operationOf(o)}, err
		})
	register(d, huma.Operation{OperationID: "cancel-operation", Method: http.MethodDelete, Path: "/v1/operations/{id}", Tags: tags,
		Summary: "Cancel long work; what is done stays done", DefaultStatus: http.StatusNoContent}, rules{},
		func(ctx context.Context, who account.Caller, in *byID) (*nothing, error) {
			return &nothing{}, d.accounts.CancelOperation(ctx, who, in.ID)
		})
}
