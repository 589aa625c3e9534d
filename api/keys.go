package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"trunkline/trunks/account"
)

// KeyBody is an API key without its secret (AK-11 to AK-19).
type KeyBody struct {
	ID         string `json:"id" format:"uuid" doc:"Public id, used to revoke."`
	Name       string `json:"name"`
	KeyPrefix  string `json:"key_prefix" doc:"The first 15 characters of the key."`
	IsActive   bool   `json:"is_active" doc:"False once revoked."`
	CreatedAt  stamp  `json:"created_at"`
	LastUsedAt *stamp `json:"last_used_at" nullable:"true" doc:"At most some seconds old; null: never used."`
	RevokedAt  *stamp `json:"revoked_at" nullable:"true"`
}

// newKeyBody is an API key as it is shown once.
type newKeyBody struct {
	KeyBody
	Key string `json:"key" doc:"The key itself, shown this once: keep it in a secret manager, and revoke it when it is lost."`
}

func keyOf(k account.APIKey) KeyBody {
	return KeyBody{ID: k.ID, Name: k.Name, KeyPrefix: k.Prefix, IsActive: k.Active(), CreatedAt: stamp(k.CreatedAt),
		LastUsedAt: stampOrNil(k.LastUsedAt), RevokedAt: stampOrNil(k.RevokedAt)}
}

type newKeyInput struct {
	Body *keyRequest
}

// keyRequest may be left out altogether.
type keyRequest struct {
	Name *string `json:"name,omitempty" nullable:"true" minLength:"1" maxLength:"120" doc:"Label; without it \"Default key\"."`
}

func (d *door) addKeys() {
	register(d, huma.Operation{OperationID: "list-api-keys", Method: http.MethodGet, Path: "/v1/developer/api-keys", Tags: []string{"API keys"},
		Summary: "List API keys, the revoked ones too"}, rules{},
		func(ctx context.Context, who account.Caller, _ *struct{}) (*answer[[]KeyBody], error) {
			keys, err := d.accounts.Keys(ctx, who)
			return &answer[[]KeyBody]{mapped(keys, keyOf)}, err
		})
	register(d, huma.Operation{OperationID: "create-api-key", Method: http.MethodPost, Path: "/v1/developer/api-keys", Tags: []string{"API keys"},
		Summary: "Make an API key", DefaultStatus: http.StatusCreated}, rules{},
		func(ctx context.Context, who account.Caller, in *newKeyInput) (*answer[newKeyBody], error) {
			name := "Default key"
			if in.Body != nil && in.Body.Name != nil {
				name = *in.Body.Name
			}
			key, raw, err := d.accounts.CreateKey(ctx, who, name)
			return &answer[newKeyBody]{newKeyBody{keyOf(key), raw.Reveal()}}, err
		})
	register(d, huma.Operation{OperationID: "revoke-api-key", Method: http.MethodDelete, Path: "/v1/developer/api-keys/{key_id}", Tags: []string{"API keys"},
		Summary: "Revoke an API key, for good", DefaultStatus: http.StatusNoContent}, rules{},
		func(ctx context.Context, who account.Caller, in *struct {
			ID string `path:"key_id" maxLength:"64"`
		}) (*nothing, error) {
			return &nothing{}, d.accounts.RevokeKey(ctx, who, in.ID)
		})
}
