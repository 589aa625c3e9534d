package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

var phoneNumbers = resource{word: "number", path: "/v1/phone-numbers", name: "number", columns: []column{
	{"ID", "id"}, {"NUMBER", "number"}, {"STATUS", "status"}, {"VERIFICATION", "voip_verification_status"}, {"TRUNK", "voip_connection_id"},
	{"INBOUND AGENT", "inbound_agent_id"}, {"OUTBOUND AGENT", "outbound_agent_id"}, {"LAST VERIFIED", "last_verified_at"}}}

func newNumber() *cobra.Command {
	cmd := group("number", "Import, verify and assign numbers")
	var flags remoteFlags
	flags.add(cmd)
	cmd.AddCommand(newNumberList(&flags), phoneNumbers.newGet(&flags), newNumberAvailable(&flags), newNumberImport(&flags), newNumberVerify(&flags), newNumberAssign(&flags),
		newNumberRelease(&flags))
	return cmd
}

func newNumberList(flags *remoteFlags) *cobra.Command {
	var trunk, status string
	cmd := phoneNumbers.newList(flags, func(query url.Values) {
		for name, value := range map[string]string{"voip_connection_id": trunk, "status": status} {
			if value != "" {
				query.Set(name, value)
			}
		}
	})
	cmd.Flags().StringVar(&trunk, "trunk", "", "only those of the trunk with this id")
	cmd.Flags().StringVar(&status, "status", "", "only provisioning, active, failed or released ones")
	return cmd
}

func newNumberAvailable(flags *remoteFlags) *cobra.Command {
	var output string
	cmd := &cobra.Command{Use: "available TRUNK", Short: "List the numbers at the provider that nobody has imported", Args: arguments("TRUNK"),
		ValidArgsFunction: connections.complete(flags),
		RunE: remoteCommand(flags, func(ctx context.Context, cmd *cobra.Command, r *remote, args []string) error {
			answer, err := r.get(ctx, connections.path+"/"+url.PathEscape(args[0])+"/available-numbers", nil)
			if err != nil {
				return err
			}
			return show(cmd, output, answer, []column{{"NUMBER", "number"}, {"LABEL", "label"}})
		})}
	outputFlag(cmd, &output)
	return cmd
}

func newNumberImport(flags *remoteFlags) *cobra.Command {
	var all bool
	var file, output string
	cmd := &cobra.Command{
		Use:   "import TRUNK [NUMBER...]",
		Short: "Import numbers of a trunk",
		Example: "  trunkline number import 5 +14155550100 +14155550101\n" +
			"  trunkline number import 5 --all",
		Args: arguments("TRUNK", "NUMBER..."), ValidArgsFunction: connections.complete(flags),
		RunE: remoteCommand(flags, func(ctx context.Context, cmd *cobra.Command, r *remote, args []string) error {
			path := connections.path + "/" + url.PathEscape(args[0])
			numbers, err := numbersToImport(ctx, cmd, r, path, args[1:], file, all)
			if err != nil {
				return err
			}
			answer, err := r.call(ctx, http.MethodPost, path+"/import-numbers", map[string]any{"numbers": numbers})
			if err != nil {
				return err
			}
			return showImport(cmd, output, answer)
		})}
	cmd.Flags().BoolVar(&all, "all", false, "import every number that is available")
	cmd.Flags().StringVar(&file, "file", "", "file with a number in each line; - reads stdin")
	outputFlag(cmd, &output)
	return cmd
}

func numbersToImport(ctx context.Context, cmd *cobra.Command, r *remote, path string, named []string, file string, all bool) ([]string, error) {
	usage := func(text string) error { return &usageError{cmd.CommandPath(), errors.New(text)} }
	switch {
	case all && (len(named) > 0 || file != ""), len(named) > 0 && file != "":
		return nil, usage("numbers, --file and --all exclude each other")
	case all:
		answer, err := r.get(ctx, path+"/available-numbers", nil)
		if err != nil {
			return nil, err
		}
		available, err := decode[[]struct {
			Number string `json:"number"`
		}](answer)
		for _, a := range available {
			named = append(named, a.Number)
		}
		if err == nil && len(named) == 0 {
			err = errors.New("no number is available: all are imported, or the account has none")
		}
		return named, err
	case file != "":
		text, err := readInput(cmd, file)
		if err != nil {
			return nil, err
		}
		for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
			if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "#") {
				named = append(named, line)
			}
		}
	}
	if len(named) == 0 {
		return nil, usage("no number was named: give numbers, --file or --all")
	}
	return named, nil
}

// showImport shows what was imported, and says what was skipped. Nothing imported at all is an error.
func showImport(cmd *cobra.Command, output string, answer json.RawMessage) error {
	if output != "table" {
		return show(cmd, output, answer, nil)
	}
	partly, err := decode[struct {
		Imported json.RawMessage `json:"imported"`
		Skipped  []struct {
			Number string `json:"number"`
			Reason string `json:"reason"`
		} `json:"skipped"`
	}](answer)
	if err != nil { // a bare list: all of them
		return show(cmd, output, answer, phoneNumbers.columns)
	}
	for _, s := range partly.Skipped {
		fmt.Fprintf(cmd.ErrOrStderr(), "skipped %s: %s\n", s.Number, strings.ReplaceAll(s.Reason, "_", " "))
	}
	return show(cmd, output, partly.Imported, phoneNumbers.columns)
}

// operationShown is long work.
type operationShown struct {
	ID     string `json:"id"`
	State  string `json:"state"`
	Total  int    `json:"total"`
	Done   int    `json:"done"`
	Failed int    `json:"failed"`
}

func newNumberVerify(flags *remoteFlags) *cobra.Command {
	var trunk, resume, output string
	cmd := &cobra.Command{
		Use:   "verify [ID|NUMBER...]",
		Short: "Verify numbers by a call in and a call out",
		Long: "Verify numbers: each is dialled from outside and must come in on its trunk, and may be used as caller. One number shows each step;\n" +
			"several are verified by the daemon, paced by their trunks, with a progress bar here. The work goes on when this command is\n" +
			"interrupted; --resume shows it again.\n\n" +
			"Exit status: 0 all are verified; 3 some are not.",
		Example: "  trunkline number verify +14155550100\n" +
			"  trunkline number verify --trunk 5",
		ValidArgsFunction: phoneNumbers.complete(flags),
		RunE: remoteCommand(flags, func(ctx context.Context, cmd *cobra.Command, r *remote, args []string) error {
			if n := len(args); (n > 0) == (trunk != "" || resume != "") || trunk != "" && resume != "" {
				return &usageError{cmd.CommandPath(), errors.New("give numbers, --trunk or --resume")}
			}
			if resume != "" {
				return watchOperation(ctx, cmd, r, resume, output)
			}
			ids, err := numberIDs(ctx, cmd, r, args)
			if err != nil {
				return err
			}
			if len(ids) == 1 {
				return verifyOne(ctx, cmd, r, ids[0], output)
			}
			body := map[string]any{"numbers": ids}
			if trunk != "" {
				id, err := whole(cmd, "--trunk", trunk)
				if err != nil {
					return err
				}
				body = map[string]any{"voip_connection_id": id}
			}
			answer, err := r.call(ctx, http.MethodPost, phoneNumbers.path+"/verify-voip", body)
			if err != nil {
				return err
			}
			started, err := decode[operationShown](answer)
			if err != nil {
				return err
			}
			return watchOperation(ctx, cmd, r, started.ID, output)
		})}
	cmd.Flags().StringVar(&trunk, "trunk", "", "all numbers of the trunk with this id that are not verified")
	cmd.Flags().StringVar(&resume, "resume", "", "show the progress of an operation that was begun before")
	outputFlag(cmd, &output)
	return cmd
}

// numberIDs turns +E.164 numbers into ids; ids stay as they are.
func numberIDs(ctx context.Context, cmd *cobra.Command, r *remote, named []string) ([]int64, error) {
	byNumber := map[string]int64{}
	var ids []int64
	for _, text := range named {
		if !strings.HasPrefix(text, "+") {
			id, err := whole(cmd, "ID", text)
			if err != nil {
				return nil, err
			}
			ids = append(ids, id)
			continue
		}
		if len(byNumber) == 0 {
			answer, err := r.get(ctx, phoneNumbers.path, nil)
			if err != nil {
				return nil, err
			}
			all, err := decode[[]struct {
				ID     int64  `json:"id"`
				Number string `json:"number"`
			}](answer)
			if err != nil {
				return nil, err
			}
			for _, n := range all {
				byNumber[n.Number] = n.ID
			}
		}
		id, ok := byNumber[text]
		if !ok {
			return nil, &apiError{Status: http.StatusNotFound, Message: "no number " + text + "; trunkline number import brings it in"}
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func verifyOne(ctx context.Context, cmd *cobra.Command, r *remote, id int64, output string) error {
	h := stepHearer{talk: cmd.ErrOrStderr()}
	if err := r.follow(ctx, http.MethodPost, phoneNumbers.path+"/"+strconv.FormatInt(id, 10)+"/verify-voip", nil, h.hear); err != nil {
		return err
	}
	if h.result == nil {
		return errors.New("the verification ended without a result: the daemon stopped, or the connection to it broke")
	}
	result, err := decode[struct {
		Verification string      `json:"voip_verification_status"`
		Checks       checksShown `json:"checks"`
	}](h.result)
	if err != nil {
		return err
	}
	printAnswers(h.talk, result.Checks)
	if output != "table" {
		if err := show(cmd, output, h.result, nil); err != nil {
			return err
		}
	}
	if result.Verification != "verified" {
		return &checkError{errors.New("the number is not verified")}
	}
	return nil
}

const (
	pollOperation = 500 * time.Millisecond
	tellProgress  = 5 * time.Second // where there is no terminal
)

// watchOperation shows progress until an operation ends.
func watchOperation(ctx context.Context, cmd *cobra.Command, r *remote, id, output string) error {
	path := "/v1/operations/" + url.PathEscape(id)
	answer, err := r.get(ctx, path, nil)
	if err != nil {
		return err
	}
	p := newProgress(cmd.ErrOrStderr())
	for {
		o, err := decode[operationShown](answer)
		if err != nil {
			return err
		}
		p.tell(o)
		if o.State != "running" {
			p.end()
			return endOperation(cmd, output, answer, o)
		}
		select {
		case <-ctx.Done():
			p.end()
			fmt.Fprintf(cmd.ErrOrStderr(), "the daemon goes on; trunkline number verify --resume %s shows it\n", id)
			return errInterrupted
		case <-time.After(pollOperation):
		}
		if answer, err = r.get(ctx, path, nil); err != nil && ctx.Err() == nil {
			p.end()
			return err
		}
	}
}

func endOperation(cmd *cobra.Command, output string, answer json.RawMessage, o operationShown) error {
	if output != "table" {
		if err := show(cmd, output, answer, nil); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(cmd.OutOrStdout(), "%s: %d of %d verified, %d failed\n", o.State, o.Done-o.Failed, o.Total, o.Failed)
	}
	switch {
	case o.State != "done":
		return &checkError{errors.New("the verification was " + o.State)}
	case o.Failed > 0:
		return &checkError{fmt.Errorf("%d numbers are not verified; trunkline number verify NUMBER tells why", o.Failed)}
	}
	return nil
}

// progress is a bar on a terminal, and a line now and then elsewhere.
type progress struct {
	out  io.Writer
	bar  *progressbar.ProgressBar
	told time.Time
	last int
}

func newProgress(out io.Writer) *progress {
	p := &progress{out: out, last: -1}
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.bar = progressbar.NewOptions(1, progressbar.OptionSetWriter(out), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
			progressbar.OptionSetItsString("numbers"), progressbar.OptionSetDescription("verifying"), progressbar.OptionFullWidth(), progressbar.OptionSetPredictTime(true))
	}
	return p
}

func (p *progress) tell(o operationShown) {
	if p.bar != nil {
		p.bar.ChangeMax(max(o.Total, 1))
		p.bar.Describe(fmt.Sprintf("verifying, %d failed", o.Failed))
		p.bar.Set(o.Done)
		return
	}
	if o.Done != p.last && (time.Since(p.told) >= tellProgress || o.State != "running") {
		p.told, p.last = time.Now(), o.Done
		fmt.Fprintf(p.out, "%d of %d done, %d failed\n", o.Done, o.Total, o.Failed)
	}
}

func (p *progress) end() {
	if p.bar != nil {
		fmt.Fprintln(p.out)
	}
}

func newNumberAssign(flags *remoteFlags) *cobra.Command {
	var inbound, outbound, output string
	cmd := &cobra.Command{Use: "assign ID", Short: "Say which agents take a number's calls and call out with it", Args: arguments("ID"),
		ValidArgsFunction: phoneNumbers.complete(flags),
		RunE: remoteCommand(flags, func(ctx context.Context, cmd *cobra.Command, r *remote, args []string) error {
			body := map[string]any{}
			for member, text := range map[string]string{"inbound_agent_id": inbound, "outbound_agent_id": outbound} {
				switch text {
				case "":
				case "none":
					body[member] = nil
				default:
					id, err := whole(cmd, "--"+strings.TrimSuffix(member, "_agent_id")+"-agent", text)
					if err != nil {
						return err
					}
					body[member] = id
				}
			}
			if len(body) == 0 {
				return &usageError{cmd.CommandPath(), errors.New("--inbound-agent or --outbound-agent is needed")}
			}
			ids, err := numberIDs(ctx, cmd, r, args)
			if err != nil {
				return err
			}
			answer, err := r.call(ctx, http.MethodPatch, phoneNumbers.path+"/"+strconv.FormatInt(ids[0], 10), body)
			if err != nil {
				return err
			}
			return show(cmd, output, answer, phoneNumbers.columns)
		})}
	cmd.Flags().StringVar(&inbound, "inbound-agent", "", "id of the agent that takes its calls; none: nobody does")
	cmd.Flags().StringVar(&outbound, "outbound-agent", "", "id of the agent that may call out with it; none: nobody may")
	outputFlag(cmd, &output)
	return cmd
}

func newNumberRelease(flags *remoteFlags) *cobra.Command {
	cmd := phoneNumbers.newDelete(flags, "")
	cmd.Use, cmd.Short = "release ID", "Release a number for good"
	return cmd
}
